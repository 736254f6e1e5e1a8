"""Divides a transcript into cues that keep `SubtitleRules`.

The cheapest division is found by dynamic programming over the phrases. A segment of the engine that keeps every rule
costs nothing, so it stays one cue, unless another cue could keep the rules only with some of its words.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from rapl_protocol.transcript import Segment

from rapl_gateway.api.subtitles.lines import LineFilling, lines_of
from rapl_gateway.api.subtitles.phrases import Phrase, break_cost, phrases_of
from rapl_gateway.api.subtitles.rules import SubtitleRules

_LONGEST_PAUSE_S = 1.5
"""A cue does not reach over a longer pause: it would show words long before they are said."""
_NOTABLE_PAUSE_S = 0.5
_BROKEN_RULE = 100.0
_ONE_MORE_CUE = 2.0
_FEW_WORDS = 2.0
"""Cost of a cue that has less text than a quarter of a line."""
_EARLY_S = 0.5
"""Most seconds that a cue is shown before its first word, if it is too short otherwise."""


@dataclass(frozen=True, slots=True)
class Cue:
    start_s: float
    end_s: float
    lines: tuple[str, ...]
    speaker: str | None = None
    """Who says it; None if the request does not ask for speakers."""


def own_cues(segments: Sequence[Segment]) -> list[Cue]:
    """Returns each segment with text as one cue of one line."""
    return [Cue(each.start_s, each.end_s, (each.text,)) for each in segments if each.text.strip()]


def word_cues(segments: Sequence[Segment]) -> list[Cue]:
    """Returns each word as one cue. A cue ends at the latest when the next one begins."""
    words = [word for segment in segments for word in segment.words or () if word.word.strip()]
    starts_s = [*(word.start_s for word in words), math.inf]
    return [
        Cue(word.start_s, max(word.start_s, min(word.end_s, next_s)), (word.word,))
        for word, next_s in zip(words, starts_s[1:], strict=True)
    ]


def ruled_cues(segments: Sequence[Segment], rules: SubtitleRules, duration_s: float) -> list[Cue]:
    """Returns cues that keep the rules, as far as the words allow it. A segment without words, or with blank ones
    only, is one cue.

    Args:
        segments: the engine's segments.
        rules: the rules.
        duration_s: duration of the whole audio; no cue is extended beyond it. 0: it is not known.
    """
    with_text = [segment for segment in segments if segment.text.strip()]
    groups = [(has_words, list(group)) for has_words, group in groupby(with_text, _has_words)]
    cues: list[Cue] = []
    for number, (has_words, group) in enumerate(groups, 1):
        limit_s = groups[number][1][0].start_s if number < len(groups) else duration_s or math.inf
        if has_words:
            cues += _Division(phrases_of(group, rules.max_line_chars), rules, limit_s).cues()
        else:
            cues += own_cues(group)
    return cues


def _has_words(segment: Segment) -> bool:
    return any(word.word.strip() for word in segment.words or ())


class _Division:
    """Divides phrases into cues.

    Args:
        phrases: not empty, in the order of their starts.
        rules: the rules.
        limit_s: the latest end of a cue.
    """

    def __init__(self, phrases: Sequence[Phrase], rules: SubtitleRules, limit_s: float) -> None:
        self._phrases = phrases
        self._rules = rules
        self._limit_s = max(limit_s, phrases[-1].start_s)  # a cue does not end before it begins

    def cues(self) -> list[Cue]:
        cuts = self._cheapest_cuts()
        cues: list[Cue] = []
        for first, end in pairwise(cuts):
            earliest_s = cues[-1].end_s if cues else 0.0
            start_s, end_s = self._times_s(first, end, earliest_s)
            cues.append(Cue(start_s, end_s, lines_of(self._phrases[first:end], self._rules)))
        return cues

    def _cheapest_cuts(self) -> list[int]:
        count = len(self._phrases)
        costs, origins = [0.0, *[math.inf] * count], [0] * (count + 1)
        for first in range(count):
            for end, cost in self._cues_from(first):
                if costs[first] + cost < costs[end]:
                    costs[end], origins[end] = costs[first] + cost, first
        cuts = [count]
        while cuts[-1]:
            cuts.append(origins[cuts[-1]])
        return cuts[::-1]

    def _cues_from(self, first: int) -> Iterator[tuple[int, float]]:
        """Yields the end of each cue that may begin with phrase `first`, and its cost."""
        filling = LineFilling(self._rules.max_line_chars)
        pauses = 0.0
        for number in range(first, len(self._phrases)):
            phrase = self._phrases[number]
            if number > first:
                pause_s = phrase.start_s - self._phrases[number - 1].end_s
                if pause_s > _LONGEST_PAUSE_S:
                    return
                if phrase.end_s - self._phrases[first].start_s > self._rules.max_cue_s:
                    return
                pauses += 2 * pause_s if pause_s > _NOTABLE_PAUSE_S else 0.0
            filling.add(phrase)
            if filling.lines > self._rules.max_lines:
                return
            yield number + 1, pauses + self._cost(first, number + 1, filling.width)

    def _cost(self, first: int, end: int, width: int) -> float:
        missing_s = self._rules.reading_s(width) - self._longest_s(first, end)
        if missing_s > 0:
            return _BROKEN_RULE * (1 + missing_s)
        if self._is_segment(first, end):
            return 0.0
        few = _FEW_WORDS if width < self._rules.max_line_chars / 4 else 0.0
        return _ONE_MORE_CUE + few + self._break_cost(end)

    def _longest_s(self, first: int, end: int) -> float:
        return min(self._rules.max_cue_s, self._next_s(end) - self._phrases[first].start_s)

    def _next_s(self, end: int) -> float:
        return self._phrases[end].start_s if end < len(self._phrases) else self._limit_s

    def _break_cost(self, end: int) -> float:
        return break_cost(self._phrases[end - 1], self._phrases[end]) if end < len(self._phrases) else 0.0

    def _is_segment(self, first: int, end: int) -> bool:
        phrases = self._phrases
        number = phrases[first].segment
        begins = not first or phrases[first - 1].segment != number
        return begins and phrases[end - 1].segment == number and (end == len(phrases) or phrases[end].segment != number)

    def _times_s(self, first: int, end: int, earliest_s: float) -> tuple[float, float]:
        """Returns when the cue is shown: while its words are said, and longer if it is too short to be read."""
        phrases = self._phrases[first:end]
        filling = LineFilling(self._rules.max_line_chars)
        for phrase in phrases:
            filling.add(phrase)
        start_s, spoken_end_s = phrases[0].start_s, max(phrase.segment_end_s or phrase.end_s for phrase in phrases)
        needed_s = self._rules.reading_s(filling.width)
        end_s = min(max(spoken_end_s, start_s + needed_s), start_s + self._longest_s(first, end))
        if end_s - start_s < needed_s:
            start_s = max(min(earliest_s, start_s), end_s - needed_s, start_s - _EARLY_S)
        return start_s, end_s
