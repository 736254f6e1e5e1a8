"""How far a download is, out of the bars that huggingface_hub draws."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from rapl_protocol.models import Progress
from tqdm.auto import tqdm

_REPORT_EVERY_S = 0.25
_RATE_WINDOW_S = 10.0


class ByteProgress:
    """Reports a few times a second.

    Args:
        report: is told of the progress.
        present_bytes: of files that need not be fetched.
        total_bytes: of all files.
    """

    def __init__(self, report: Callable[[Progress], None], present_bytes: int, total_bytes: int) -> None:
        self._report = report
        self._present_bytes = present_bytes
        self._total_bytes = total_bytes
        self._bars: list[tqdm] = []
        self._marks: deque[tuple[float, int]] = deque()
        """(monotonic seconds, bytes done) of the last reports, for the rate."""
        self._lock = threading.Lock()
        self._tell()

    def bar_class(self, *, counted: bool) -> type[tqdm]:
        """What to give to huggingface_hub as a `tqdm_class`; `counted` where it draws one bar of bytes a file."""
        progress = self

        class Bar(tqdm):
            def __init__(self, *args: Any, **options: Any) -> None:
                super().__init__(*args, **options)
                if counted:
                    progress._bars.append(self)

            def update(self, n: float | None = 1) -> bool | None:
                changed = super().update(n)
                progress.tell_now_and_then()
                return changed

            def display(self, *args: Any, **options: Any) -> None:
                """Draws nothing: the parent shows the progress."""

            def close(self) -> None:
                self.leave = False
                self.disable = True

        return Bar

    def tell_now_and_then(self) -> None:
        with self._lock:
            if not self._marks or time.monotonic() - self._marks[-1][0] >= _REPORT_EVERY_S:
                self._tell()

    def _tell(self) -> None:
        fetched = sum(int(bar.n) for bar in self._bars)
        done = min(self._present_bytes + fetched, self._total_bytes)
        now = time.monotonic()
        self._marks.append((now, done))
        while now - self._marks[0][0] > _RATE_WINDOW_S:
            self._marks.popleft()
        since, before = self._marks[0]
        rate = (done - before) / (now - since) if now > since else None
        self._report(Progress(done_bytes=done, total_bytes=self._total_bytes, bytes_per_s=rate))
