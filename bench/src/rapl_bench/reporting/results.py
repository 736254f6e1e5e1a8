"""The results of a group of measurements: tables of rows, and how to plot them.

A group is a module of `rapl_bench.groups` with

    async def measure(settings: BenchSettings) -> Sequence[Table]

and a line in `registry.GROUPS`. It only returns tables; `reporting` writes the report and the plots.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class BenchSettings:
    """Settings of a run."""

    quick: bool
    """Fewer rounds, and nothing that takes minutes, as a check. The figures must not be quoted."""
    scratch: Path
    """Existing folder for logs and other files of this run."""
    cache: Path
    """Existing folder for files that all runs share, such as recordings."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure: the median of the rounds, with the lowest and the highest."""

    value: float
    low: float | None = None
    high: float | None = None
    """Both are None if it was measured once."""

    @classmethod
    def of(cls, values: Sequence[float]) -> "Measure":
        """From one value per round."""
        return cls(values[0]) if len(values) == 1 else cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Column:
    """A kind of figure, such as Column("p50", "ms")."""

    name: str
    unit: str = ""
    """"" for a plain number or a ratio."""
    digits: int = 2
    """Digits after the decimal point."""

    @property
    def heading(self) -> str:
        return f"{self.name} ({self.unit})" if self.unit else self.name


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one contestant in one case."""

    case: str
    """The task, such as "5 s WAV, 1 at once"; the same text for every contestant."""
    contestant: str
    """The measured program, such as "RAPL"; the same text in every case."""
    measures: dict[str, Measure]
    """By column name; a column may be missing."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a plot."""

    name: str
    panel: str
    """What the values are, with their unit. Lines of one panel share an axis; panels are below each other."""
    x: tuple[float, ...]
    y: tuple[float, ...]
    is_step: bool = False
    """Whether each value holds until the next one, as a count does."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the report, and one plot: a group of bars for each case with a bar for each contestant, or lines."""

    name: str
    """Part of a file name, such as "gateway-latency"."""
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    plotted: str
    """The column that the plot shows."""
    is_log: bool = False
    """Whether the plot's axis is logarithmic."""
    lines: tuple[Line, ...] = ()
    """If there are some, the plot shows them instead of bars."""
    lines_over: str = ""
    """What the lines' `x` is, with its unit."""
    headline: str | None = None
    """The case that the README shows; None means the first."""
    notes: tuple[str, ...] = ()
    """Notes below the table: what was not measured and why, and what a figure does not include."""
    settings: dict[str, str] = field(default_factory=dict)
    """Versions, counts and threads of the measurement."""


def quantile(values: Sequence[float], fraction: float) -> float:
    """Returns a quantile: with a `fraction` of 0.95, the p95. It is a measured value, never an interpolated one."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]
