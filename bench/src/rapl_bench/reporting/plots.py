"""Draws a table as bars: a group for each case, a bar for each contestant, with the range over the rounds. If the table
has lines, it draws these instead."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from rapl_bench.reporting.results import Measure, Row, Table

_BAR_INCHES = 0.3
_GROUP_INCHES = 0.35
_WIDTH_INCHES = 9.0
_STYLES = {False: "default", True: "steps-post"}


def plot(table: Table, file: Path) -> None:
    """Writes a PNG of the table's column `plotted`, or of its lines."""
    if table.lines:
        _plot_lines(table, file)
    else:
        _plot_bars(table, file)


def _plot_lines(table: Table, file: Path) -> None:
    panels = list(dict.fromkeys(line.panel for line in table.lines))
    figure = Figure(figsize=(_WIDTH_INCHES, 0.6 + 2.2 * len(panels)), layout="constrained")
    FigureCanvasAgg(figure)
    all_axes = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for panel, axes in zip(panels, all_axes, strict=True):
        for line in (line for line in table.lines if line.panel == panel):
            axes.plot(line.x, line.y, label=line.name, linewidth=1.2, drawstyle=_STYLES[line.is_step])
        axes.set_ylabel(panel, fontsize=8)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend(loc="upper left", fontsize=8, frameon=False)
    all_axes[-1].set_xlabel(table.lines_over)
    figure.suptitle(table.title, fontsize=10)
    figure.savefig(file, dpi=110)


def _plot_bars(table: Table, file: Path) -> None:
    [column] = [column for column in table.columns if column.name == table.plotted]
    rows = [row for row in table.rows if table.plotted in row.measures]
    contestants = list(dict.fromkeys(row.contestant for row in rows))
    places, ticks = _places(rows)
    figure = Figure(figsize=(_WIDTH_INCHES, 1.3 + max(places, default=0.0) + _BAR_INCHES), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for number, contestant in enumerate(contestants):
        mine = [(place, row.measures[table.plotted]) for place, row in zip(places, rows, strict=True)
                if row.contestant == contestant]  # fmt: skip
        values = [measure.value for _, measure in mine]
        bars = axes.barh(
            [place for place, _ in mine],
            values,
            height=_BAR_INCHES * 0.9,
            label=contestant,
            color=f"C{number}",
            xerr=_ranges([measure for _, measure in mine]),
            ecolor="0.3",
        )
        axes.bar_label(bars, labels=[f"{value:,.{column.digits}f}" for value in values], padding=4, fontsize=8)
    axes.set_yticks(list(ticks.values()), list(ticks))
    axes.invert_yaxis()
    axes.set_xlabel(column.heading)
    if table.is_log:
        axes.set_xscale("log", nonpositive="clip")
    axes.margins(x=0.12)
    axes.set_title(table.title, fontsize=10)
    figure.legend(loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    figure.savefig(file, dpi=110)


def _places(rows: list[Row]) -> tuple[list[float], dict[str, float]]:
    """The position of each row's bar and the middle of each case, in inches from the top."""
    places: list[float] = []
    of_case: dict[str, list[float]] = {}
    for row in sorted(rows, key=lambda row: list(dict.fromkeys(r.case for r in rows)).index(row.case)):
        is_new = row.case not in of_case
        step = _BAR_INCHES + (_GROUP_INCHES if is_new else 0.0)
        places.append(places[-1] + step if places else 0.0)
        of_case.setdefault(row.case, []).append(places[-1])
    return places, {case: sum(found) / len(found) for case, found in of_case.items()}


def _ranges(measures: list[Measure]) -> list[list[float]]:
    """Returns the distances from each value down to its low and up to its high.

    A distance is 0 if the value lies outside this range, which is possible for a percentile of all rounds together.
    """
    down = [max(0.0, m.value - m.low) if m.low is not None else 0.0 for m in measures]
    up = [max(0.0, m.high - m.value) if m.high is not None else 0.0 for m in measures]
    return [down, up]
