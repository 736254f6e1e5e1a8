"""What a group of measurements gives back: tables of rows, and how to draw them.

A group is a module of this package with

    async def measure(settings: BenchSettings) -> Sequence[Table]

that is named in `groups.GROUPS`. It writes nothing itself: the report and the plots are made from its tables.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class BenchSettings:
    """How a run is to be made."""

    quick: bool
    """Fewer rounds, and without what takes minutes: to see that it works, not to quote."""
    scratch: Path
    """Folder for logs and other things of this run; it exists."""
    cache: Path
    """Folder for what is costly to make and the same in every run, such as recordings; it exists."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure. What is measured in rounds has the middle one's value, and the lowest and the highest."""

    value: float
    low: float | None = None
    high: float | None = None
    """Both None where it was measured once."""

    @classmethod
    def of(cls, values: Sequence[float]) -> "Measure":
        """The median of one value a round, and their range, if there was more than one."""
        return cls(values[0]) if len(values) == 1 else cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Column:
    """A kind of figure, such as Column("p50", "ms")."""

    name: str
    unit: str = ""
    """"" for a plain number or a ratio."""
    digits: int = 2
    """After the point."""

    @property
    def heading(self) -> str:
        return f"{self.name} ({self.unit})" if self.unit else self.name


@dataclass(frozen=True, slots=True)
class Row:
    """What one contestant did in one case."""

    case: str
    """What was done, such as "5 s WAV, 1 at once"; the same words for every contestant."""
    contestant: str
    """Who did it, such as "RAPL"; the same words in every case."""
    measures: dict[str, Measure]
    """By the column's name; a column may be missing."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the report, and one plot: a group of bars for each case, a bar for each contestant."""

    name: str
    """Part of a file name, such as "gateway-latency"."""
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    plotted: str
    """Name of the column that the plot shows."""
    is_log: bool = False
    """Whether the plot's axis is logarithmic."""
    headline: str | None = None
    """The case that the README shows; None for the first."""
    notes: tuple[str, ...] = ()
    """Sentences below the table: what was left out and why, what a figure does not say."""
    settings: dict[str, str] = field(default_factory=dict)
    """What it was measured with: versions, counts, threads."""


def quantile(values: Sequence[float], fraction: float) -> float:
    """The value that `fraction` of all are at most; no value is made up between two."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]
