"""Publishes a run: copies it to `bench/results/latest/`, and writes its headlines and a picture for the README."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from rapl_bench.reporting import readme_picture
from rapl_bench.reporting.report import Report, cases, formatted
from rapl_bench.reporting.results import Table

BEGIN, END = "<!-- written by `./rapl bench --publish` -->", "<!-- end of what it wrote -->"


class MarkersMissing(Exception):
    """The README does not have the lines BEGIN and END."""


def publish(report: Report, folder: Path, results: Path, readme: Path) -> None:
    """Copies a run to `latest`, writes its headlines between BEGIN and END, and draws the README's picture about speed.

    Args:
        report: the run.
        folder: the run's folder.
        results: the folder of all runs.
        readme: the file with BEGIN and END.

    Raises:
        MarkersMissing: the file does not have them.
    """
    latest = results / "latest"
    if latest.exists():
        shutil.rmtree(latest)
    shutil.copytree(folder, latest)
    before, found, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (found and ended):
        raise MarkersMissing(f"{readme} does not have the lines {BEGIN} and {END}")
    lines = "\n".join(headlines(report))
    readme.write_text(f"{before}{BEGIN}\n{lines}\n{END}{after}", encoding="utf-8")
    if any(table.name == readme_picture.TABLE for table in report.tables):
        pictures = readme.parent / "docs" / "pictures"
        pictures.mkdir(parents=True, exist_ok=True)
        readme_picture.draw(latest / "results.json", pictures / "speed.svg")


def headlines(report: Report) -> Iterator[str]:
    """A row for each table: all contestants, in one case and one column."""
    yield f"On {report.made.split()[0]}, {report.machine['processor']}, {report.machine['cores']} cores:"
    yield ""
    yield "| | | |"
    yield "|---|---|---|"
    for table in report.tables:
        yield _headline(table)


def _headline(table: Table) -> str:
    case = table.headline or cases(table.rows)[0]
    [column] = [column for column in table.columns if column.name == table.plotted]
    figures = [
        f"{row.contestant} {formatted(row.measures[column.name], column.digits, with_range=False)}"
        for row in table.rows
        if row.case == case and column.name in row.measures
    ]
    unit = f", {column.unit}" if column.unit else ""
    return f"| {table.title}: {case} | {column.name}{unit} | {'; '.join(figures)} |"
