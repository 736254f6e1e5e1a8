"""Prints the results of the checks: a table on a terminal, a line for each elsewhere, or JSON."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rapl_cli.checks.check import Check, Status

_STYLES = {Status.OK: "green", Status.WARNING: "yellow", Status.FAILED: "bold red", Status.SKIPPED: "dim"}
_WIDEST = 110
"""Longer lines of text are hard to read."""


def print_json(checks: Sequence[Check]) -> None:
    print(json.dumps([asdict(check) for check in checks], indent=2, ensure_ascii=False))


def print_checks(checks: Sequence[Check]) -> None:
    if sys.stdout.isatty():
        console = Console(highlight=False)
        console.print(_table(checks, min(console.width, _WIDEST)))
        console.print(_summary(checks))
        return
    for check in checks:
        text = f"{check.message}. {check.remedy}" if check.remedy else check.message
        print(f"{check.status:<8} {check.name:<18} {text}")
    print(_summary(checks))


def _table(checks: Sequence[Check], width: int) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.width = width
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    for check in checks:
        style = _STYLES[check.status]
        message = Text(check.message, style="dim" if check.status is Status.SKIPPED else "")
        table.add_row(Text(check.status, style=style), check.name, message)
        if check.remedy:
            table.add_row("", "", Text(f"→ {check.remedy}", style="bold"))
    return table


def _summary(checks: Sequence[Check]) -> str:
    counts = {status: sum(check.status is status for check in checks) for status in Status}
    if counts[Status.FAILED]:
        return f"\nThe default model cannot be used: {_problems(counts[Status.FAILED])} to fix."
    warnings = f" {_problems(counts[Status.WARNING])} may matter later." if counts[Status.WARNING] else ""
    return f"\nThe default model can be used.{warnings}"


def _problems(count: int) -> str:
    return f"{count} {'problem' if count == 1 else 'problems'}"
