"""A file that arrives in pieces. A small one stays in memory; a large one goes to an anonymous temporary file."""

import errno
import logging
import math
import mmap
import os
import tempfile
from typing import IO, Self

from rapl_protocol.errors import ErrorCode, ServiceError
from starlette.concurrency import run_in_threadpool

from rapl_service.calls.remedies import FREE_TEMPORARY_SPACE

_WRITE_BYTES = 1 << 20
_RETRY_AFTER_S = 30

log = logging.getLogger("rapl")


class UploadStorage:
    """Counts the bytes of all uploads that are in temporary files at the same time, and limits them.

    Args:
        max_bytes: most bytes. A single upload may be larger if no other one is in a temporary file.
    """

    def __init__(self, max_bytes: float = math.inf) -> None:
        self.used_bytes = 0
        self._max_bytes = max_bytes

    def take(self, wanted_bytes: int, own_bytes: int) -> None:
        """Counts more bytes of an upload that has `own_bytes` already. Raises: ServiceError, OVERLOADED."""
        if self.used_bytes > own_bytes and self.used_bytes + wanted_bytes > self._max_bytes:
            message = "The server is receiving or working on too many large uploads. Send this one again later."
            raise ServiceError(ErrorCode.OVERLOADED, message, retry_after_s=_RETRY_AFTER_S)
        self.used_bytes += wanted_bytes

    def give_back(self, own_bytes: int) -> None:
        self.used_bytes -= own_bytes


class Upload:
    """An uploaded file. As a context manager it closes the temporary file, if there is one.

    The receiver calls `add` and `spool` for each piece, and `end` after the last one.

    Args:
        in_memory_bytes: a file of up to this size stays in memory, in the pieces that were added.
        storage: counts the bytes in temporary files.
    """

    def __init__(self, in_memory_bytes: int, storage: UploadStorage | None = None) -> None:
        self.size_bytes = 0
        self.file: IO[bytes] | None = None
        """The temporary file, which is complete after `end`; None if the upload is in memory."""
        self._in_memory_bytes = in_memory_bytes
        self._storage = storage or UploadStorage()
        self._stored_bytes = 0
        self._pieces: list[bytes] = []
        self._pieces_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._pieces_bytes += len(piece)
        self.size_bytes += len(piece)

    async def spool(self) -> None:
        """Writes the pieces to the temporary file if they are larger than may be kept in memory.

        Raises:
            ServiceError: STORAGE_FAILED if the disk is full or fails, OVERLOADED if other uploads take all the space.
                The upload is closed, so that its space is free at once.
        """
        if self._pieces_bytes > (_WRITE_BYTES if self.file else self._in_memory_bytes):
            await self._store()

    async def end(self) -> None:
        """Writes the last pieces, if there is a temporary file. Raises: ServiceError, the same as `spool`."""
        if self.file:
            await self._store()

    def content(self) -> bytes | memoryview:
        """The whole file; call it after `end`. A temporary file is mapped, so that its size costs no memory."""
        if self.file:
            return memoryview(mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_READ))
        if len(self._pieces) != 1:
            self._pieces = [b"".join(self._pieces)]
        return self._pieces[0]

    def close(self) -> None:
        self._pieces, self._pieces_bytes = [], 0
        self._storage.give_back(self._stored_bytes)
        self._stored_bytes = 0
        try:
            if self.file:
                self.file.close()
        except OSError:  # closing writes what is buffered; the file is deleted all the same
            log.debug("the temporary file could not be flushed")

    async def _store(self) -> None:
        try:
            self._storage.take(self._pieces_bytes, self._stored_bytes)
            self._stored_bytes += self._pieces_bytes
            await run_in_threadpool(self._write)
        except OSError as error:
            self.close()
            raise _not_stored(error) from error
        except ServiceError:
            self.close()
            raise

    def _write(self) -> None:
        if self.file is None:
            self.file = tempfile.TemporaryFile(dir=_folder())  # noqa: SIM115 - it stays open until close()
        self.file.writelines(self._pieces)
        self.file.flush()
        self._pieces, self._pieces_bytes = [], 0


def _folder() -> str:
    """The folder of temporary files. Python's own choice would be another folder, without a word, if this one is full
    or missing when it is first used."""
    return os.environ.get("TMPDIR") or tempfile.tempdir or "/tmp"


def _not_stored(error: OSError) -> ServiceError:
    reason = os.strerror(error.errno or errno.EIO)
    log.error("folder=%s the upload cannot be stored: %s", _folder(), reason)
    message = f"The upload cannot be stored on the server's disk: {reason}."
    return ServiceError(ErrorCode.STORAGE_FAILED, message, remedy=FREE_TEMPORARY_SPACE)
