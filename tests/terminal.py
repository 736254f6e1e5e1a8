"""Runs a command in a terminal, and shows what a person sees on its screen."""

import contextlib
import errno
import os
import pty
import select
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pyte
from launcher import in_terminal

CTRL_C = "\x03"
HISTORY_LINES = 2000
_READ_BYTES = 65536
_END_LIMIT_S = 45.0
"""How long a command may take to end after its window was closed; then it is killed."""


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
        environ = {**environ, "TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": str(rows)}
        self._window, inside = pty.openpty()
        termios.tcsetwinsize(inside, (rows, columns))
        self._process = subprocess.Popen(
            in_terminal(command),
            stdin=inside,
            stdout=inside,
            stderr=inside,
            env=environ,
            cwd=cwd,
            start_new_session=True,
        )
        os.close(inside)
        self._output = select.poll()  # `select` cannot wait for a file number from 1024 on
        self._output.register(self._window, select.POLLIN)
        self._window_is_open = True
        self.written = ""
        """All that was written so far, with control sequences."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close_window()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_LIMIT_S)
        self._process.kill()
        self._process.wait()

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
        return self._process.wait()

    def press(self, keys: str) -> None:
        """Types keys, such as CTRL_C."""
        os.write(self._window, keys.encode())

    def close_window(self) -> None:
        """Closes the terminal, as if its window was closed: the command gets SIGHUP."""
        if self._window_is_open:
            self._window_is_open = False
            os.close(self._window)

    def _was_shown(self, text: str, times: int) -> bool:
        return max(self.text().count(text), self.written.count(text)) >= times

    def _history(self) -> list[pyte.screens.StaticDefaultDict]:
        return list(self._screen.history.top)

    def _read(self, timeout_s: float) -> bool:
        """Reads what was written. Returns False at the end."""
        if not self._output.poll(timeout_s * 1000):
            return True
        try:
            piece = os.read(self._window, _READ_BYTES)
        except OSError as error:
            if error.errno != errno.EIO:  # how Linux says that no process has the terminal any longer
                raise
            return False
        self.written += piece.decode(errors="replace")
        self._stream.feed(piece)
        return bool(piece)
