"""Commands of `rapl` as processes: through pipes, or on a pseudo-terminal of a chosen size."""

import os
import pty
import re
import subprocess
import termios
import threading
from collections.abc import Callable
from dataclasses import dataclass

from services import ROOT

LIMIT_S = 120
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""A control sequence of a terminal."""


@dataclass(frozen=True)
class Ended:
    code: int
    output: str
    """All that was shown, with control sequences."""

    @property
    def lines(self) -> list[str]:
        """The lines without control sequences."""
        return [line.rstrip() for line in CONTROL.sub("", self.output).splitlines()]


def piped(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["./rapl", *arguments],
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )


def on_terminal(
    environ: dict[str, str],
    *arguments: str,
    columns: int = 80,
    keys: str = "",
    strike: Callable[[subprocess.Popen[bytes], Callable[[], str]], object] | None = None,
) -> Ended:
    """Runs a command on a terminal of 24 rows.

    Args:
        environ: its environment.
        arguments: of `rapl`.
        columns: the width.
        keys: typed at once.
        strike: called with the process and a function that returns the output so far.
    """
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    environ = {name: value for name, value in environ.items() if name not in ("NO_COLOR", "COLUMNS")}
    seen = bytearray()
    reader = threading.Thread(target=_read, args=(ours, seen))
    process = subprocess.Popen(
        ["./rapl", *arguments],
        cwd=ROOT,
        env={**environ, "TERM": "xterm-256color"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    reader.start()
    try:
        os.write(ours, keys.encode())
        if strike:
            strike(process, lambda: seen.decode(errors="replace"))
        code = process.wait(LIMIT_S)
    finally:
        process.kill()
        reader.join(LIMIT_S)
        os.close(ours)
    return Ended(code, seen.decode(errors="replace"))


def _read(descriptor: int, into: bytearray) -> None:
    try:
        while piece := os.read(descriptor, 65536):
            into += piece
    except OSError:
        pass  # on Linux: the last writer has closed the terminal
