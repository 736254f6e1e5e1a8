"""The lock of a running fleet. The system releases it when its holder ends, however it ends, and names the holder."""

import fcntl
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FLOCK = "hhqqi4x" if sys.platform == "linux" else "qqihh"
"""`struct flock`. Source: fcntl(2) of Linux on 64-bit machines, <sys/fcntl.h> of macOS."""


class AlreadyHeld(Exception):
    """Another process holds the lock. Its argument is the process id."""


class FleetLock:
    """An exclusive lock on a file. It is not inherited by child processes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def held(self) -> Iterator[None]:
        """Raises: AlreadyHeld."""
        self._path.parent.mkdir(exist_ok=True)
        with self._path.open("w") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise AlreadyHeld(self.holder()) from error
            yield

    def holder(self) -> int | None:
        """Returns the process that holds the lock; None if none does. The holder itself must not call this: closing the
        file would release its lock."""
        try:
            descriptor = os.open(self._path, os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            kind, pid = _unpacked(fcntl.fcntl(descriptor, fcntl.F_GETLK, _packed(fcntl.F_WRLCK)))
        finally:
            os.close(descriptor)
        return None if kind == fcntl.F_UNLCK else pid


def _packed(kind: int) -> bytes:
    if sys.platform == "linux":
        return struct.pack(_FLOCK, kind, os.SEEK_SET, 0, 0, 0)
    return struct.pack(_FLOCK, 0, 0, 0, kind, os.SEEK_SET)


def _unpacked(flock: bytes) -> tuple[int, int]:
    """Returns the kind of the lock and the process id of its holder."""
    fields = struct.unpack(_FLOCK, flock)
    return (fields[0], fields[4]) if sys.platform == "linux" else (fields[3], fields[2])
