"""Writes the results of a run: `report.md`, `results.json` and a plot for each table."""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rapl_bench.reporting.plots import plot
from rapl_bench.reporting.results import Column, Measure, Row, Table


@dataclass(slots=True)
class Report:
    """The results of one run so far."""

    made: str
    """Date and time."""
    machine: Mapping[str, str]
    software: Mapping[str, str]
    quick: bool
    tables: list[Table] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    """Groups that failed, with the reason."""
    took_s: dict[str, float] = field(default_factory=dict)
    """Seconds by group."""


def write(report: Report, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for table in report.tables:
        plot(table, folder / f"{table.name}.png")
    (folder / "report.md").write_text(markdown(report), encoding="utf-8")
    (folder / "results.json").write_text(json.dumps(dataclasses.asdict(report), indent=1), encoding="utf-8")


def markdown(report: Report) -> str:
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield f"# Measured on {report.made}"
    yield ""
    if report.quick:
        yield "**A quick run: it checks that everything works. Do not quote its figures: there are too few rounds.**"
        yield ""
    yield from _pairs({**report.machine, **report.software})
    for group, reason in report.failures.items():
        yield from ("", f"**{group} was not measured:** {reason}")
    for table in report.tables:
        yield ""
        yield from _table(table)
    yield ""
    yield "Time taken: " + ", ".join(f"{group} {took_s:.0f} s" for group, took_s in report.took_s.items()) + "."


def _pairs(facts: Mapping[str, str]) -> Iterator[str]:
    yield "| | |"
    yield "|---|---|"
    for name, fact in facts.items():
        yield f"| {name} | {fact} |"


def _table(table: Table) -> Iterator[str]:
    yield f"## {table.title}"
    yield ""
    yield "| | | " + " | ".join(column.heading for column in table.columns) + " |"
    yield "|---|---|" + "---:|" * len(table.columns)
    for case in cases(table.rows):
        for row in (row for row in table.rows if row.case == case):
            yield f"| {case} | {row.contestant} | " + " | ".join(_cell(row, c) for c in table.columns) + " |"
    yield ""
    yield f"![{table.title}]({table.name}.png)"
    for note in table.notes:
        yield from ("", note)
    if table.settings:
        made_with = "; ".join(f"{name} {value}" for name, value in table.settings.items())
        yield from ("", f"Measured with: {made_with}.")


def cases(rows: Sequence[Row]) -> list[str]:
    """The cases, in the order of their first rows."""
    return list(dict.fromkeys(row.case for row in rows))


def _cell(row: Row, column: Column) -> str:
    measure = row.measures.get(column.name)
    return "" if measure is None else formatted(measure, column.digits)


def formatted(measure: Measure, digits: int, *, with_range: bool = True) -> str:
    """The value, followed by its range over the rounds."""
    text = f"{measure.value:,.{digits}f}"
    if measure.low is None or measure.high is None or not with_range:
        return text
    return f"{text} ({measure.low:,.{digits}f} to {measure.high:,.{digits}f})"
