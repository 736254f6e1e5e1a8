"""How much memory processes hold, themselves and their children together."""

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

_EVERY_S = 0.05
_KB_PER_MB = 1024


class MemoryUnknown(Exception):
    """This system does not say (it has no /proc)."""


class PrivateMemory:
    """Watches, as long as the context lasts, the memory that is no mapped file: an upload that is mapped from disk
    counts as resident too, but the system takes it back whenever it wants.

    Args:
        pid: the process; its children count too.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.peak_mb = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(_EVERY_S):
            self.peak_mb = max(self.peak_mb, _sum_mb(self._pid, "RssAnon"))


def peak_mb(pid: int) -> float:
    """The most that a process and its children have each held, added up, mapped files included.

    Raises:
        MemoryUnknown: the system does not say.
    """
    return _sum_mb(pid, "VmHWM")


def _sum_mb(pid: int, field: str) -> float:
    if not Path("/proc/self/status").exists():
        raise MemoryUnknown("memory is measured on Linux only")
    return sum(_kb(each, field) for each in _with_children(pid)) / _KB_PER_MB


def _with_children(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += _with_children(int(child))
    return found


def _kb(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    return 0
