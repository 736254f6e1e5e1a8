"""The progress of one recording: a bar on a terminal, plain lines elsewhere."""

import asyncio
import sys
from typing import TextIO

from tqdm import tqdm

from rapl_cli.errors import for_terminal

_REDRAWN_EVERY_S = 0.5
_LONGEST_LABEL = 40
_UPLOAD = "{l_bar}{bar}| {n_fmt}/{total_fmt} sent [{elapsed}<{remaining}, {rate_fmt}]"
_TRANSCRIBE = "{l_bar}{bar}| {n:.0f}/{total:.0f} s of audio [{elapsed}<{remaining}, {rate_noinv_fmt}]"
_WAIT = "{desc}: sent, being transcribed [{elapsed}]"


class RecordingDisplay:
    """Shows the upload, the wait and the transcription. Each phase has its own bar format, total and unit."""

    def __init__(self, name: str, lines: TextIO) -> None:
        """`lines` receives the final line; the bar goes to stderr."""
        self._name = name
        self._lines = lines
        self._is_paused = True

    async def __aenter__(self) -> "RecordingDisplay":
        label = self._name if len(self._name) <= _LONGEST_LABEL else f"…{self._name[1 - _LONGEST_LABEL :]}"
        self._bar = tqdm(
            desc=label, bar_format=_UPLOAD, unit="B", unit_scale=True, leave=False, disable=not sys.stderr.isatty()
        )
        self._redrawing = asyncio.create_task(self._redraw())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def uploading(self, total_bytes: int) -> None:
        self._begin(_UPLOAD, total_bytes)

    def sent(self, count_bytes: int) -> None:
        self._bar.update(count_bytes)

    def waiting(self) -> None:
        """The upload is complete, and the server has not reported progress yet."""
        self._bar.refresh()
        self._begin(_WAIT, None)

    @property
    def is_visible(self) -> bool:
        """Whether the bar is shown, on a terminal."""
        return not self._bar.disable

    def transcribing(self, done_s: float, duration_s: float | None) -> None:
        """Shows the seconds of audio that are done, and the rate in seconds of audio per second."""
        if duration_s:
            if self._bar.bar_format != _TRANSCRIBE:
                self._begin(_TRANSCRIBE, duration_s)
            self._bar.update(done_s - self._bar.n)

    def pause(self) -> None:
        """Removes the bar, until the next upload begins."""
        self._bar.clear()
        self._is_paused = True

    def close(self) -> None:
        """Removes the bar for good, before a transcript is printed."""
        self._redrawing.cancel()
        self._bar.close()

    def done(
        self, duration_s: float | None, took_s: float, problems: int, damaged_s: float | None, *, has_speech: bool
    ) -> None:
        """Prints the line of a finished file. `damaged_s` is None if the whole file was read."""
        text = f"in {took_s:.1f} s"
        if duration_s is not None:
            speed = duration_s / took_s
            text = f"{duration_s:.1f} s of audio {text} ({speed:{'.0f' if speed >= 10 else '.1f'}}x)"
        if damaged_s is not None:
            text += f"; {f'{damaged_s:.1f} s' if damaged_s else 'a part'} of the file could not be read"
        if problems:
            text += f"; {problems} {'place' if problems == 1 else 'places'} may lack text"
        name = f"{self._name}  " if has_speech else f"{self._name}: no speech; "
        self._line(f"{name}{text}", self._lines)

    def skipped(self, output: str) -> None:
        self._line(f"{self._name}  skipped: {output} is up to date (--force transcribes it again)", self._lines)

    def problem(self, message: str) -> None:
        self._line(f"{self._name}: {message}", sys.stderr)

    def _begin(self, form: str, total: float | None) -> None:
        self._is_paused = False
        self._bar.bar_format = form
        self._bar.unit, self._bar.unit_scale = ("x", False) if form == _TRANSCRIBE else ("B", True)
        self._bar.reset(total)

    def _line(self, text: str, target: TextIO) -> None:
        tqdm.write(for_terminal(text) if target is sys.stderr else text, file=target)
        target.flush()

    async def _redraw(self) -> None:
        while True:
            await asyncio.sleep(_REDRAWN_EVERY_S)
            if not self._is_paused:
                self._bar.refresh()
