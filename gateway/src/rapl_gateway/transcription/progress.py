"""How far a long transcription is: a bar where the log is a terminal, and a line now and then where it is not."""

import logging
import sys
import time
from typing import TextIO

from tqdm import tqdm

LONG_S = 60.0
"""Of shorter audio nobody needs to be told how far it is."""
LINE_EVERY_S = 10.0

log = logging.getLogger("rapl")


class ProgressDisplay:
    """One transcription, as the operator sees it; it shows nothing until more than LONG_S of audio is done.

    Args:
        request_id: names it.
        out: where a bar is drawn, if it is a terminal.
        line_every_s: how often there is a line elsewhere.
    """

    def __init__(self, request_id: str, out: TextIO | None = None, line_every_s: float = LINE_EVERY_S) -> None:
        self._request_id = request_id
        self._out = out or sys.stderr
        self._line_every_s = line_every_s
        self._began_at = self._told_at = time.monotonic()
        self._bar: tqdm | None = None

    def show(self, done_s: float, announced_s: float | None) -> None:
        """`done_s` of the source is transcribed, of about `announced_s` if its file says."""
        if max(done_s, announced_s or 0.0) <= LONG_S:
            return
        if self._out.isatty():
            self._draw(done_s, announced_s)
        elif time.monotonic() - self._told_at >= self._line_every_s:
            self._told_at = time.monotonic()
            speed = done_s / (self._told_at - self._began_at)
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
