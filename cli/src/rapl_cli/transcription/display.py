"""What a person sees of one recording while it is transcribed: a bar on a terminal, lines elsewhere."""

import asyncio
import sys
from typing import TextIO

from tqdm import tqdm

_REDRAWN_EVERY_S = 0.5
_LONGEST_LABEL = 40
_UPLOAD = "{l_bar}{bar}| {n_fmt}/{total_fmt} sent [{elapsed}<{remaining}, {rate_fmt}]"
_TRANSCRIBE = "{l_bar}{bar}| {n:.0f}/{total:.0f} s of audio [{elapsed}<{remaining}, {rate_noinv_fmt}]"
_WAIT = "{desc}: sent, being transcribed [{elapsed}]"


class RecordingDisplay:
    """One phase after the other; a phase is a form of the bar, its total and its unit."""

    def __init__(self, name: str, lines: TextIO) -> None:
        """`lines` is where the line goes that remains; the bar is on stderr."""
        self._name = name
        self._lines = lines

    async def __aenter__(self) -> "RecordingDisplay":
        label = self._name if len(self._name) <= _LONGEST_LABEL else f"…{self._name[1 - _LONGEST_LABEL :]}"
        self._bar = tqdm(
            desc=label, bar_format=_UPLOAD, unit="B", unit_scale=True, leave=False, disable=not sys.stderr.isatty()
        )
        self._redrawing = asyncio.create_task(self._redraw())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._redrawing.cancel()
        self._bar.close()

    def uploading(self, total_bytes: int) -> None:
        self._begin(_UPLOAD, total_bytes)

    def sent(self, count_bytes: int) -> None:
        self._bar.update(count_bytes)

    def waiting(self) -> None:
        """All is sent; the server has not said how far it is."""
        self._bar.refresh()
        self._begin(_WAIT, None)

    @property
    def is_watched(self) -> bool:
        """Whether anybody sees how far it is."""
        return not self._bar.disable

    def transcribing(self, done_s: float, duration_s: float | None) -> None:
        """So many seconds of audio are done; the rate is the real-time factor, in seconds of audio a second."""
        if duration_s:
            if self._bar.bar_format != _TRANSCRIBE:
                self._begin(_TRANSCRIBE, duration_s)
            self._bar.update(done_s - self._bar.n)

    def done(self, duration_s: float | None, took_s: float) -> None:
        if duration_s is None:
            self._line(f"{self._name}  in {took_s:.1f} s", self._lines)
            return
        speed = duration_s / took_s
        text = f"{speed:.0f}x" if speed >= 10 else f"{speed:.1f}x"
        self._line(f"{self._name}  {duration_s:.1f} s of audio in {took_s:.1f} s ({text})", self._lines)

    def skipped(self, output: str) -> None:
        self._line(f"{self._name}  skipped: {output} is there and not older (--force does it again)", self._lines)

    def say(self, problem: str) -> None:
        self._line(f"{self._name}: {problem}", sys.stderr)

    def _begin(self, form: str, total: float | None) -> None:
        self._bar.bar_format = form
        self._bar.unit, self._bar.unit_scale = ("x", False) if form == _TRANSCRIBE else ("B", True)
        self._bar.reset(total)

    def _line(self, text: str, where: TextIO) -> None:
        tqdm.write(text, file=where)
        where.flush()

    async def _redraw(self) -> None:
        while True:
            await asyncio.sleep(_REDRAWN_EVERY_S)
            self._bar.refresh()
