"""Draws the README's picture of a terminal: runs the commands in a real one, with all services, and writes an SVG.

python tests/pictures.py docs/pictures/terminal.svg
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyte
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from rich.text import Text
from services import ROOT, SAMPLE, free_port
from terminal import Terminal

COLUMNS = 96
COMMANDS = ("./rapl transcribe recordings", "./rapl status")
RECORDINGS = ("2026-11-02 kitchen.m4a", "2026-11-03 office.wav", "interview.mp3")
THEME = TerminalTheme(
    (24, 27, 34),
    (220, 223, 228),
    [
        *((40, 44, 52), (224, 108, 117), (152, 195, 121), (229, 192, 123)),
        *((97, 175, 239), (198, 120, 221), (86, 182, 194), (220, 223, 228)),
    ],
)
_ANSI = {"brown": "yellow"} | {name: name for name in ("red", "green", "blue", "magenta", "cyan", "white", "black")}
SVG = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs>{lines}</defs>
<rect fill="#181b22" width="{width}" height="{height}" rx="8"/>
<g transform="translate({terminal_x}, 16)" clip-path="url(#{unique_id}-clip-terminal)">
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{width}" height="{height}"/>
</clipPath>
{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</g>
</svg>
"""
"""rich's own picture has a window frame, and a font from another server."""


def draw(file: Path) -> None:
    lines: list[Text] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _fill(folder)
        ports = {name: str(free_port()) for name in ("RAPL_PORT", "RAPL_PREPROCESS_PORT", "RAPL_SENSEVOICE_PORT")}
        environ = {**os.environ, **ports, "RAPL_DEFAULT_MODEL": "rapl/selftest", "RAPL_SENSEVOICE_MODEL_DIR": temporary}
        with Terminal(["./rapl", "up", "--no-download", "--no-mlx"], environ=environ, cwd=folder) as fleet:
            fleet.wait_for("rapl: up at")
            for command in COMMANDS:
                lines += [Text(f"$ {command}", "bold"), *_printed(command, environ, folder), Text()]
            port = ports["RAPL_PORT"]
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"))  # noqa: SIM115
    for line in lines[:-1]:
        console.print(_with_port_8000(line, port), no_wrap=True, overflow="ignore", crop=True)
    file.write_text(console.export_svg(theme=THEME, code_format=SVG, unique_id="rapl"), encoding="utf-8")


def _fill(folder: Path) -> None:
    (folder / "rapl").symlink_to(ROOT / "rapl")
    (folder / "recordings").mkdir()
    for name in RECORDINGS:
        shutil.copy(SAMPLE, folder / "recordings" / name)


def _printed(command: str, environ: dict[str, str], folder: Path) -> Iterator[Text]:
    with Terminal(["bash", "-c", command], environ=environ, cwd=folder, size=(COLUMNS, 60)) as terminal:
        terminal.ended()
        for row in terminal.rows():
            yield _text(row)


def _text(row: list[pyte.screens.Char]) -> Text:
    text = Text()
    for char in row:
        text.append(char.data, Style(color=_colour(char.fg), bold=char.bold))
    text.rstrip()
    return text


def _colour(name: str) -> str | None:
    """rich's name of one of pyte's colours; None for the usual one."""
    if name == "default":
        return None
    bright = name.removeprefix("bright")
    return _ANSI[name] if name in _ANSI else f"bright_{_ANSI[bright]}" if bright in _ANSI else f"#{name}"


def _with_port_8000(line: Text, port: str) -> Text:
    """The picture has the usual port; the commands ran on a free one."""
    start = line.plain.find(port)
    if start < 0:
        return line
    before, _, after = line.divide([start, start + len(port)])
    return Text.assemble(before, "8000", after)


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
