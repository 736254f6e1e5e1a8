"""The progress of a download, measured on disk."""

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
    """Reports the progress of a download twice a second, in its own thread, from `__enter__` to `__exit__` or `stop`.

    It measures the files on disk. So it includes the bytes of earlier runs, and is the same for every hub's client.

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
        """Sets the files of this download, each with its size in bytes."""
        self._sizes = sizes
        self.report_now()

    def report_now(self) -> None:
        with self._lock:
            done = sum(bytes_on_disk(path, size) for path, size in self._sizes.items())
            total = sum(self._sizes.values()) or None
            self._report(Progress(done_bytes=done, total_bytes=total, bytes_per_s=self._rate(done)))

    def stop(self) -> None:
        """Reports the progress once more and stops."""
        if not self._stopped.is_set():
            self._stopped.set()
            self._thread.join()
            self.report_now()

    def _run(self) -> None:
        while not self._stopped.wait(_REPORT_EVERY_S):
            self.report_now()

    def _rate(self, done: int) -> float | None:
        """Bytes per second in the last _RATE_WINDOW_S seconds; None before the second measurement."""
        now = time.monotonic()
        self._samples.append((now, done))
        while now - self._samples[0][0] > _RATE_WINDOW_S:
            self._samples.popleft()
        since, before = self._samples[0]
        return max(0, done - before) / (now - since) if now > since else None


def bytes_on_disk(path: Path, size: int) -> int:
    """Bytes of the file, or of its unfinished download beside it, such as `NAME.part` or `NAME.incomplete`."""
    found = size_of(path)
    if found is None:
        found = sum(size_of(part) or 0 for part in path.parent.glob(f"{path.name}[._]*"))
    return min(found, size)
