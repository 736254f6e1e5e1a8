"""Runs a command in a terminal, and shows what a person sees on its screen."""

import contextlib
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pexpect
import pyte

CTRL_C = "\x03"
HISTORY_LINES = 2000
_READ_BYTES = 65536
_END_LIMIT_S = 45.0
"""How long a command may take to end after its window was closed; then it is killed."""


def _with_default_signals() -> None:
    """The tests may run where these are ignored: under `nohup`, or in the background of a script."""
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


class Terminal:
    """A terminal with one command in it. The command ends with the context, as if the window was closed.

    Args:
        command: the program and its arguments.
        size: columns and rows.
    """

    def __init__(
        self, command: Sequence[str], *, environ: Mapping[str, str], cwd: Path, size: tuple[int, int] = (100, 30)
    ) -> None:
        columns, rows = size
        self._screen = pyte.HistoryScreen(columns, rows, history=HISTORY_LINES, ratio=0.5)
        self._stream = pyte.ByteStream(self._screen)
        program, *arguments = command
        environ = {**environ, "TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": str(rows)}
        self._process = pexpect.spawn(
            program,
            arguments,
            env=environ,
            cwd=str(cwd),
            dimensions=(rows, columns),
            preexec_fn=_with_default_signals,
            use_poll=True,  # `select` cannot wait for a file number from 1024 on
        )
        self._process.delaybeforesend = None
        self.written = ""
        """All that was written so far, with control sequences."""
        self._process.ptyproc.delayafterclose = self._process.ptyproc.delayafterterminate = 0.05

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close_window()
        deadline = time.monotonic() + _END_LIMIT_S
        while self._process.isalive() and time.monotonic() < deadline:
            time.sleep(0.02)
        self._process.terminate(force=True)

    @property
    def pid(self) -> int:
        return self._process.pid

    def lines(self) -> list[str]:
        """The lines that were written so far, also those that have left the screen, without spaces at their ends."""
        above = ["".join(line[column].data for column in range(self._screen.columns)) for line in self._history()]
        lines = [line.rstrip() for line in [*above, *self._screen.display]]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def text(self) -> str:
        return "\n".join(self.lines())

    def rows(self) -> list[list[pyte.screens.Char]]:
        """The characters of each line with their colours, as `lines` has them."""
        visible = [self._screen.buffer[row] for row in range(self._screen.lines)]
        rows = [[line[column] for column in range(self._screen.columns)] for line in [*self._history(), *visible]]
        return rows[: len(self.lines())]

    def wait_for(self, text: str, *, times: int = 1, limit_s: float = 60.0) -> str:
        """Reads until the text is on the screen, or was there, this often.

        Raises:
            AssertionError: it is not there after `limit_s`, or the command ended without it.
        """
        deadline = time.monotonic() + limit_s
        while not self._was_shown(text, times):
            ended = not self._read(0.1)
            if self._was_shown(text, times):
                break
            if ended or time.monotonic() > deadline:
                raise AssertionError(f"{text!r} is not on the screen:\n{self.text()}")
        return self.text()

    def ended(self, *, limit_s: float = 120.0) -> int:
        """Reads until the command ends, and returns its exit code; minus the signal if one ended it."""
        deadline = time.monotonic() + limit_s
        while self._read(0.2):
            if time.monotonic() > deadline:
                raise AssertionError(f"the command did not end:\n{self.text()}")
        self._process.wait()
        return -self._process.signalstatus if self._process.signalstatus else self._process.exitstatus or 0

    def press(self, keys: str) -> None:
        """Types keys, such as CTRL_C."""
        self._process.send(keys)

    def close_window(self) -> None:
        """Closes the terminal, as if its window was closed: the command gets SIGHUP."""
        with contextlib.suppress(pexpect.ExceptionPexpect, OSError):
            self._process.close(force=False)

    def _was_shown(self, text: str, times: int) -> bool:
        return max(self.text().count(text), self.written.count(text)) >= times

    def _history(self) -> list[pyte.screens.StaticDefaultDict]:
        return list(self._screen.history.top)

    def _read(self, timeout_s: float) -> bool:
        """Reads what was written. Returns False at the end."""
        try:
            piece = self._process.read_nonblocking(_READ_BYTES, timeout_s)
            self.written += piece.decode(errors="replace")
            self._stream.feed(piece)
        except pexpect.TIMEOUT:
            pass
        except pexpect.EOF:
            return False
        return True
