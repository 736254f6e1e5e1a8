"""Shows the operator the progress of a long transcription: a bar on a terminal, otherwise a log line every 10 s."""

import logging
import sys
import time
from typing import Any, TextIO

from tqdm import tqdm

LONG_S = 60.0
"""Seconds of audio. No progress is shown for shorter audio."""
LINE_EVERY_S = 10.0

log = logging.getLogger("rapl")


class ProgressDisplay:
    """Shows nothing until more than LONG_S of audio is expected or done.

    Args:
        request_id: identifies the transcription.
        out: where a bar is drawn, if it is a terminal; stderr by default.
        line_every_s: seconds between log lines, if `out` is not a terminal.
    """

    def __init__(self, request_id: str, out: TextIO | None = None, line_every_s: float = LINE_EVERY_S) -> None:
        self._request_id = request_id
        self._out = out or sys.stderr
        self._line_every_s = line_every_s
        self._began_at = self._shown_at = time.monotonic()
        self._bar: tqdm[Any] | None = None

    def show(self, done_s: float, announced_s: float | None) -> None:
        """Shows the progress.

        Args:
            done_s: seconds of the source that have been transcribed.
            announced_s: duration of the source as its file states it.
        """
        if max(done_s, announced_s or 0.0) <= LONG_S:
            return
        if self._out.isatty():
            self._draw(done_s, announced_s)
        elif time.monotonic() - self._shown_at >= self._line_every_s:
            self._shown_at = time.monotonic()
            speed = done_s / (self._shown_at - self._began_at)
            of = f" of={announced_s:.0f}" if announced_s else ""
            log.info("request_id=%s transcribed_s=%.0f%s times_real_time=%.1f", self._request_id, done_s, of, speed)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def _draw(self, done_s: float, announced_s: float | None) -> None:
        if self._bar is None:
            self._bar = tqdm(
                desc=self._request_id[:12], total=announced_s, unit="s", unit_scale=True, leave=False, file=self._out
            )
        self._bar.n = round(done_s, 1)
        self._bar.refresh()
