"""The commands of `rapl` as processes: through pipes, or in a terminal."""

import re
import subprocess
from collections.abc import Mapping

from services import ROOT
from terminal import Terminal

LIMIT_S = 120
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""A control sequence of a terminal."""


def piped(environ: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["./rapl", *arguments],
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )


def in_terminal(environ: Mapping[str, str], *arguments: str, columns: int = 80) -> Terminal:
    environ = {name: value for name, value in environ.items() if name != "NO_COLOR"}
    return Terminal(["./rapl", *arguments], environ=environ, cwd=ROOT, size=(columns, 24))
