"""Intervals of time, and sets of them: where there is speech, where there is text, and where one is without the other.

A set is a tuple of intervals in order, without overlap.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias


class Interval(NamedTuple):
    """A part of some audio, in seconds from its start."""

    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s

    @property
    def middle_s(self) -> float:
        return (self.start_s + self.end_s) / 2

    def shifted(self, offset_s: float) -> "Interval":
        return Interval(self.start_s + offset_s, self.end_s + offset_s)


Intervals: TypeAlias = tuple[Interval, ...]


def total_s(intervals: Iterable[Interval]) -> float:
    """Returns the seconds in all of the intervals, which must not overlap."""
    return sum((interval.duration_s for interval in intervals), 0.0)


def merged(intervals: Iterable[Interval], gap_s: float = 0.0) -> Intervals:
    """Returns the intervals as a set. Two of them become one if there are at most `gap_s` seconds between them."""
    found: list[Interval] = []
    for interval in sorted(intervals):
        if found and interval.start_s - found[-1].end_s <= gap_s:
            found[-1] = Interval(found[-1].start_s, max(found[-1].end_s, interval.end_s))
        else:
            found.append(interval)
    return tuple(found)


def intersection(first: Sequence[Interval], second: Sequence[Interval]) -> Intervals:
    """Returns what two sets have in common."""
    both: list[Interval] = []
    a = b = 0
    while a < len(first) and b < len(second):
        start_s, end_s = max(first[a].start_s, second[b].start_s), min(first[a].end_s, second[b].end_s)
        if start_s < end_s:
            both.append(Interval(start_s, end_s))
        if first[a].end_s < second[b].end_s:
            a += 1
        else:
            b += 1
    return tuple(both)


def difference(first: Sequence[Interval], second: Sequence[Interval]) -> Intervals:
    """Returns the parts of the first set that are not in the second."""
    rest: list[Interval] = []
    for whole in first:
        at_s = whole.start_s
        for hole in intersection((whole,), second):
            if hole.start_s > at_s:
                rest.append(Interval(at_s, hole.start_s))
            at_s = hole.end_s
        if whole.end_s > at_s:
            rest.append(Interval(at_s, whole.end_s))
    return tuple(rest)
