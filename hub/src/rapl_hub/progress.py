"""How far a download is, counted on disk."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from rapl_protocol.models import Progress

from rapl_hub.files import size_of

_REPORT_EVERY_S = 0.5
_RATE_WINDOW_S = 10.0


class DownloadMeter:
    """Reports twice a second, from a thread of its own, from `__enter__` to `__exit__` or `stop`.

    It counts files and not what a client says: so bytes of an earlier run count, and every client counts alike.

    Args:
        report: called with the progress, by one thread at a time.
    """

    def __init__(self, report: Callable[[Progress], None]) -> None:
        self._report = report
        self._sizes: Mapping[Path, int] = {}
        self._samples: deque[tuple[float, int]] = deque()
        """(monotonic seconds, bytes on disk), for the rate."""
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="download progress", daemon=True)

    def __enter__(self) -> Self:
        self.report_now()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def expect(self, sizes: Mapping[Path, int]) -> None:
        """`sizes` are the files of this download, each with its size in bytes."""
        self._sizes = sizes
        self.report_now()

    def report_now(self) -> None:
        with self._lock:
            done = sum(bytes_on_disk(path, size) for path, size in self._sizes.items())
            total = sum(self._sizes.values()) or None
            self._report(Progress(done_bytes=done, total_bytes=total, bytes_per_s=self._rate(done)))

    def stop(self) -> None:
        """Reports a last time; nothing is reported afterwards."""
        if not self._stopped.is_set():
            self._stopped.set()
            self._thread.join()
            self.report_now()

    def _run(self) -> None:
        while not self._stopped.wait(_REPORT_EVERY_S):
            self.report_now()

    def _rate(self, done: int) -> float | None:
        """Bytes per second over the last seconds; None before the second count."""
        now = time.monotonic()
        self._samples.append((now, done))
        while now - self._samples[0][0] > _RATE_WINDOW_S:
            self._samples.popleft()
        since, before = self._samples[0]
        return max(0, done - before) / (now - since) if now > since else None


def bytes_on_disk(path: Path, size: int) -> int:
    """Of the whole file, or of its unfinished one beside it: `NAME.part`, `NAME.incomplete` and the like."""
    found = size_of(path)
    if found is None:
        found = sum(size_of(part) or 0 for part in path.parent.glob(f"{path.name}[._]*"))
    return min(found, size)
