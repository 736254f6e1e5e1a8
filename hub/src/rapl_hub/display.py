"""Shows a download to the operator: a progress bar if stderr is a terminal, otherwise a log line every 10 s."""

import logging
import sys
import time
from typing import Any

from rapl_protocol.models import Progress

_LINE_EVERY_S = 10.0
_MINUTES_FROM_S = 120.0
"""From here on the time left is in minutes."""


class DownloadDisplay:
    def __init__(self, model_id: str, log: logging.Logger) -> None:
        self._model_id = model_id
        self._log = log
        self._bar: Any = None
        self._last_line_at: float | None = None
        """Seconds on the monotonic clock."""

    def show(self, progress: Progress) -> None:
        if sys.stderr.isatty():
            self._draw(progress)
        elif self._last_line_at is None or time.monotonic() - self._last_line_at >= _LINE_EVERY_S:
            self._last_line_at = time.monotonic()
            self._log.info("model=%s downloading %s", self._model_id, describe(progress))

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = self._last_line_at = None

    def _draw(self, progress: Progress) -> None:
        if self._bar is None:
            from tqdm import tqdm

            # With `disable=False`, TQDM_DISABLE hides the bars of the hubs' clients, but not this one.
            self._bar = tqdm(desc=self._model_id, unit="B", unit_scale=True, initial=progress.done_bytes, disable=False)
        self._bar.total, self._bar.n = progress.total_bytes, progress.done_bytes
        self._bar.refresh()


def describe(progress: Progress) -> str:
    """A text such as "512 of 2464 MB (20.8%), 41.5 MB/s, 47 s left"."""
    done, total, rate = progress.done_bytes, progress.total_bytes, progress.bytes_per_s
    parts = [f"{done / 1e6:.0f} of {total / 1e6:.0f} MB ({done / total:.1%})" if total else f"{done / 1e6:.0f} MB"]
    if rate:
        parts.append(f"{rate / 1e6:.1f} MB/s")
        if total:
            parts.append(f"{_duration(max(0, total - done) / rate)} left")
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < _MINUTES_FROM_S else f"{seconds / 60:.0f} min"
