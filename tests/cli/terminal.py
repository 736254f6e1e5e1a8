"""Runs a command in a terminal of a given width, and reads what its screen shows."""

import os
import pty
import subprocess
import termios
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyte

_HEIGHT = 100
_LIMIT_S = 120


@dataclass(frozen=True)
class Ended:
    code: int
    screen: str
    """The lines of the screen at the end, without those that are empty at its bottom."""
    history: str
    """All that was written, with its control characters."""


def run_in_terminal(
    command: Sequence[str],
    columns: int,
    *,
    folder: Path,
    environ: Mapping[str, str],
    stdout: int | None = None,
    on_output: Callable[[subprocess.Popen[bytes], str], None] = lambda *_: None,
) -> Ended:
    """Runs the command. Its standard output, unless `stdout` is given, and its standard error are the terminal.

    `on_output` is called with the process and with all that was written so far.
    """
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (_HEIGHT, columns))
    environment = {**environ, "TERM": "xterm-256color"}
    target = theirs if stdout is None else stdout
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=theirs, stdout=target, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    written = bytearray()
    try:
        while piece := os.read(ours, 65536):
            written += piece
            on_output(process, written.decode(errors="replace"))
    except OSError:
        pass  # on Linux: the last writer has closed the terminal
    finally:
        os.close(ours)
    code = process.wait(_LIMIT_S)
    screen = pyte.Screen(columns, _HEIGHT)
    pyte.ByteStream(screen).feed(bytes(written))
    lines = "\n".join(line.rstrip() for line in screen.display).rstrip("\n")
    return Ended(code, lines, written.decode(errors="replace"))
