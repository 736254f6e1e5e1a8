"""Breaks the text of a cue into lines."""

import math
from collections.abc import Sequence
from functools import cache
from itertools import accumulate

from rapl_gateway.api.subtitles.phrases import Phrase, break_cost, joined
from rapl_gateway.api.subtitles.rules import SubtitleRules

_IMBALANCE = 2.0
"""Cost of a line that is empty beside one that is full."""


class LineFilling:
    """Counts the lines that phrases need, one phrase after another."""

    def __init__(self, max_width: int) -> None:
        self._max_width = max_width
        self._line = 0
        self.lines = 1
        self.width = 0
        """Of the whole text, with spaces."""

    def add(self, phrase: Phrase) -> None:
        space = int(phrase.has_space and self.width > 0)
        self.width += space + phrase.width
        if self._line and self._line + space + phrase.width > self._max_width:
            self.lines += 1
            self._line = phrase.width
        else:
            self._line += space + phrase.width


def lines_of(phrases: Sequence[Phrase], rules: SubtitleRules) -> tuple[str, ...]:
    """Returns the text in as few lines as it needs, with the breaks where they disturb least. A phrase that is longer
    than a line is a line."""
    filling = LineFilling(rules.max_line_chars)
    for phrase in phrases:
        filling.add(phrase)
    if filling.lines == 1:
        return (joined(phrases),)
    mean = filling.width / filling.lines

    offsets = [0, *accumulate(each.width + each.has_space for each in phrases)]

    @cache
    def best(first: int, lines: int) -> tuple[float, tuple[int, ...]]:
        """The cost of the phrases from `first` on in so many lines, and the ends of these lines."""
        if lines == 1:
            return line_cost(first, len(phrases)), (len(phrases),)
        found = (math.inf, (len(phrases),))
        for end in range(first + 1, len(phrases) - lines + 2):
            cost = line_cost(first, end)
            if cost == math.inf:
                break
            rest, ends = best(end, lines - 1)
            found = min(found, (cost + break_cost(phrases[end - 1], phrases[end]) + rest, (end, *ends)))
        return found

    def line_cost(first: int, end: int) -> float:
        taken = offsets[end] - offsets[first] - phrases[first].has_space
        if taken > rules.max_line_chars and end > first + 1:
            return math.inf
        return _IMBALANCE * abs(taken - mean) / rules.max_line_chars

    _, ends = best(0, filling.lines)
    return tuple(joined(phrases[first:end]) for first, end in zip((0, *ends), ends, strict=False))
