"""What the commands print: tables and sizes on a terminal, the same as plain text elsewhere, and JSON."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

_PIPE_WIDTH = 1000
"""Columns if the output is no terminal: enough that no line is wrapped."""
STATE_STYLES = {
    "ok": "green",
    "ready": "green",
    "loading": "yellow",
    "downloading": "yellow",
    "unknown": "yellow",
    "absent": "dim",
    "not running": "dim",
    "failed": "red",
    "unreachable": "red",
}


def console() -> Console:
    """A console on standard output. It has no colours and wraps no line if that is not a terminal."""
    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(highlight=False, width=_PIPE_WIDTH, color_system=None, force_terminal=False)


def show(*parts: RenderableType) -> None:
    """Prints the parts one below the other, without spaces at the ends of lines."""
    target = console()
    if sys.stdout.isatty():
        target.print(Group(*parts))
        return
    with target.capture() as captured:
        target.print(Group(*parts))
    print("\n".join(line.rstrip() for line in captured.get().rstrip().splitlines()))


def show_json(content: Any) -> None:
    print(json.dumps(content, indent=2, ensure_ascii=False))


def table(*columns: str, right: Iterable[str] = ()) -> Table:
    """A table without lines. The columns in `right` have numbers."""
    made = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def add_row(to: Table, *cells: str | Text) -> None:
    to.add_row(*(cell if isinstance(cell, Text) else Text(plain(cell)) for cell in cells))


def state_text(state: str) -> Text:
    return Text(plain(state), STATE_STYLES.get(state, ""))


def engine(service: str) -> str:
    """The short name of an engine's service."""
    return service.removesuffix("-service")


def plain(text: str) -> str:
    """The text without control characters. Names and reasons come from servers, and must not control the terminal."""
    return "".join(char if char.isprintable() else " " for char in text)


def size(count: int | None) -> str:
    """A number of bytes for a person; a dash if it is unknown or 0."""
    if not count:
        return "-"
    units = ("B", "kB", "MB", "GB")
    number = float(count)
    for unit in units:
        if number < 999.5 or unit == units[-1]:
            return f"{number:.0f} {unit}" if number >= 99.5 or unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    raise AssertionError


def duration(seconds: float) -> str:
    """A duration in its two largest units, such as `3 min 12 s`."""
    whole = int(seconds)
    parts: Sequence[tuple[int, str]] = (
        (whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s"),
    )  # fmt: skip
    first = next((number for number, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2])
