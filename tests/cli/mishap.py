"""A mishap as the tables in `mishaps/` describe it, and what a person sees of it on a terminal."""

import re
import shlex
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from mishap_stages import PORTS, Environ
from services import ROOT, SAMPLE, until
from terminal import CTRL_C, Terminal

TABLES = Path(__file__).parent / "mishaps"
COLUMNS, ROWS = 120, 40
LIMIT_S = 60.0
_TIMES = (
    (r"in \d+\.\d s \(\d+(\.\d)?x\)", "in {time}"),
    (r"at \d\d:\d\d:\d\d UTC", "at {time}"),
    (r"\(process \d+\)", "(process {pid})"),
)


@dataclass(frozen=True)
class Mishap:
    name: str
    command: str
    """The program and its arguments, with placeholders."""
    code: int
    """The exit code, as a shell shows it."""
    screen: str
    """All that the terminal shows at the end, with placeholders."""
    stage: str = "nothing runs"
    with_fleet: bool = False
    environ: Environ = field(default_factory=dict)
    """Variables, with placeholders."""
    ctrl_c_at: str | None = None
    """Ctrl-C is pressed when this is on the screen."""


def mishaps(*, with_fleet: bool) -> list[Mishap]:
    """The mishaps of all tables that need a running fleet, or those that need none."""
    entries = [entry for table in sorted(TABLES.glob("*.toml")) for entry in tomllib.loads(table.read_text())["mishap"]]
    return [mishap for mishap in (Mishap(**entry) for entry in entries) if mishap.with_fleet == with_fleet]


@dataclass(frozen=True)
class Seen:
    screen: str
    code: int


def seen(mishap: Mishap, environ: Environ, folder: Path) -> Seen:
    """Runs the command in a terminal, and returns what is on the screen at its end, with placeholders."""
    places = {
        "{models}": environ["RAPL_SENSEVOICE_MODEL_DIR"],
        "{folder}": str(folder),
        "{sample}": str(SAMPLE),
        "{root}": str(ROOT),
    }
    changed = {name: _filled(value, places) for name, value in mishap.environ.items()}
    environ = {name: value for name, value in (environ | changed).items() if name not in ("NO_COLOR", "COLUMNS")}
    command = [_filled(part, places) for part in shlex.split(mishap.command)]
    with Terminal(command, environ=environ, cwd=ROOT, size=(COLUMNS, ROWS)) as terminal:
        if mishap.ctrl_c_at:
            terminal.wait_for(mishap.ctrl_c_at, limit_s=LIMIT_S)
            # Python does not notice a signal that comes just before it begins to read the terminal.
            until("the command waits", lambda: psutil.Process(terminal.pid).status() == psutil.STATUS_SLEEPING)
            terminal.press(CTRL_C)
        code = terminal.ended(limit_s=LIMIT_S)
    return Seen(_with_placeholders(terminal.text(), environ, places), code if code >= 0 else 128 - code)


def _filled(text: str, places: dict[str, str]) -> str:
    for placeholder, value in places.items():
        text = text.replace(placeholder, value)
    return text


def _with_placeholders(text: str, environ: Environ, places: dict[str, str]) -> str:
    for placeholder, value in places.items():
        text = text.replace(value, placeholder)
    for name in PORTS:
        text = text.replace(environ[name], f"{{{name}}}") if environ[name].isdigit() else text
    for pattern, placeholder in _TIMES:
        text = re.sub(pattern, placeholder, text)
    return text.replace(f"{psutil.Process().name()} (process", "{program} (process")
