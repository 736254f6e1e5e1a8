"""Checks subtitles against their rules. It knows only the rules and the text of the file, nothing of how it was made.

What a cue may do: have at most so many lines of so many columns, stand for so long, and be read at a certain speed;
cues are in order and do not overlap. A full-width character has two columns.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from wcwidth import wcswidth

_CUE = re.compile(r"(?:\d+\n)?(\d+):(\d\d):(\d\d)[.,](\d{3}) --> (\d+):(\d\d):(\d\d)[.,](\d{3})\n((?:.+\n?)*)")
_ROUNDING_S = 0.002
"""Two times are rounded to milliseconds."""


@dataclass(frozen=True)
class Limits:
    max_line_chars: int = 42
    max_lines: int = 2
    max_cue_s: float = 7.0
    min_cue_s: float = 0.833
    max_chars_per_s: float = 20.0


@dataclass(frozen=True)
class ShownCue:
    start_s: float
    end_s: float
    lines: tuple[str, ...]

    @property
    def shown_s(self) -> float:
        return self.end_s - self.start_s

    @property
    def columns(self) -> int:
        return sum(map(wcswidth, self.lines))


@dataclass(frozen=True)
class BrokenRule:
    rule: str
    """Name of the limit, or "overlap"."""
    cue: int
    """Number of the cue, from 0."""
    value: float


def cues_in(file: str) -> list[ShownCue]:
    """The cues of a SubRip or WebVTT file."""
    return [_cue(match) for match in _CUE.finditer(file)]


def broken_rules(cues: Sequence[ShownCue], limits: Limits = Limits()) -> Iterator[BrokenRule]:
    """Every rule that a cue breaks; one cue may break several."""
    for number, cue in enumerate(cues):
        widest = max(map(wcswidth, cue.lines))
        chars_per_s = cue.columns / (cue.shown_s + _ROUNDING_S)
        if widest > limits.max_line_chars:
            yield BrokenRule("max_line_chars", number, widest)
        if len(cue.lines) > limits.max_lines:
            yield BrokenRule("max_lines", number, len(cue.lines))
        if cue.shown_s > limits.max_cue_s + _ROUNDING_S:
            yield BrokenRule("max_cue_s", number, cue.shown_s)
        if cue.shown_s < limits.min_cue_s - _ROUNDING_S:
            yield BrokenRule("min_cue_s", number, cue.shown_s)
        if chars_per_s > limits.max_chars_per_s:
            yield BrokenRule("max_chars_per_s", number, chars_per_s)
    for number, (before, after) in enumerate(pairwise(cues), 1):
        if after.start_s < before.end_s:
            yield BrokenRule("overlap", number, before.end_s - after.start_s)


def reason(cues: Sequence[ShownCue], broken: BrokenRule, duration_s: float) -> str | None:
    """Why no subtitles of these words could keep the rule; None if they could."""
    cue = cues[broken.cue]
    if broken.rule == "max_line_chars":
        has_one_word = all(" " not in line for line in cue.lines if wcswidth(line) >= broken.value)
        return "one word is longer than a line" if has_one_word else None
    next_s = cues[broken.cue + 1].start_s if broken.cue + 1 < len(cues) else duration_s
    if broken.rule in ("max_chars_per_s", "min_cue_s") and cue.end_s >= next_s - _ROUNDING_S:
        return "the speech is too fast"
    return None


def _cue(match: re.Match[str]) -> ShownCue:
    numbers = [int(match[n]) for n in range(1, 9)]
    start_s, end_s = (h * 3600 + m * 60 + s + ms / 1000 for h, m, s, ms in (numbers[:4], numbers[4:]))
    return ShownCue(start_s, end_s, tuple(match[9].strip("\n").split("\n")))
