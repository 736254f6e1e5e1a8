"""The progress of a model's download: a bar on a terminal, and a line for each change."""

import sys
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskProgressColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.theme import Theme

from rapl_cli.display import plain, size
from rapl_cli.errors import for_terminal

_PLAIN = ("progress.percentage", "progress.download", "progress.data.speed", "progress.remaining")
_THEME = Theme({"bar.complete": "cyan", "bar.finished": "cyan", **dict.fromkeys(_PLAIN, "default")})
_STEPS = 10
"""How many lines a whole download prints if there is no terminal."""


class DownloadDisplay:
    """Shows the state of one model on standard error, from `__enter__` to `__exit__`."""

    def __init__(self, name: str) -> None:
        self._name = plain(name)
        self._is_terminal = sys.stderr.isatty()
        columns = (
            BarColumn(None),
            TaskProgressColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        console = Console(stderr=True, highlight=False, soft_wrap=True, theme=_THEME)
        self._progress = Progress(*columns, console=console, transient=True, expand=True, disable=not self._is_terminal)
        self._task = self._progress.add_task("", total=None, visible=False)
        self._line = ""

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, model: dict[str, Any]) -> None:
        """`model` is an entry of GET /v1/models that is being downloaded or loaded."""
        progress = (model.get("progress") or {}) if model["state"] == "downloading" else {}
        done, total = progress.get("done_bytes", 0), progress.get("total_bytes")
        line = f"{self._name}: {plain(model['state'])}"
        if model.get("reason"):
            line += f" ({plain(model['reason'])})"
        elif total and not self._is_terminal:
            line += f", {done * _STEPS // total * (100 // _STEPS)} % of {size(total)}"
        if line != self._line:
            self._progress.console.print(for_terminal(line), markup=False)
        self._line = line
        self._progress.update(self._task, completed=done, total=total, visible=bool(total))
