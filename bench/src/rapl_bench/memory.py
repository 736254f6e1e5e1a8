"""The memory of a process and its children."""

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

_EVERY_S = 0.05
_KB_PER_MB = 1024


class MemoryNotMeasurable(Exception):
    """This system has no /proc."""


class MemoryWatch:
    """Samples the memory of a process and its children while the context lasts.

    Args:
        pid: the process.

    Raises:
        MemoryNotMeasurable: when the context begins.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.private_mb = 0.0
        """Highest sum over all processes at one moment, without mapped files. An upload that is mapped from disk is
        also resident, but the system can reclaim its pages at any time."""
        self.peak_mb = 0.0
        """Sum of each process's own peak (VmHWM), with mapped files."""

    def __enter__(self) -> Self:
        if not Path(f"/proc/{self._pid}/status").exists():
            raise MemoryNotMeasurable("memory is measured on Linux only")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            held_kb = [_held_kb(pid) for pid in _with_children(self._pid)]
            private_kb = sum(held.get("RssAnon", 0) + held.get("RssShmem", 0) for held in held_kb)
            self.private_mb = max(self.private_mb, private_kb / _KB_PER_MB)
            self.peak_mb = max(self.peak_mb, sum(held.get("VmHWM", 0) for held in held_kb) / _KB_PER_MB)
            if self._stopped.wait(_EVERY_S):
                return


def _with_children(pid: int) -> list[int]:
    found = [pid]
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [child for task in tasks for child in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):  # the process or one of its threads has just ended
        return found
    for child in children:
        found += _with_children(int(child))
    return found


def _held_kb(pid: int) -> dict[str, int]:
    """The memory fields of /proc/PID/status in kB; empty if the process has just ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    fields = (line.removesuffix(" kB").split(":") for line in lines if line.endswith(" kB"))
    return {name: int(amount) for name, amount in fields}
