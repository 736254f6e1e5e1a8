"""When each speaker of a recording speaks."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise

from rapl_protocol.intervals import Interval
from rapl_protocol.speakers import SpeakerTurn

_SHORTEST_S = 0.5
"""A shorter part of one speaker between two of others is no piece of its own: engines hear little in it."""


class SpeakerTimeline:
    """The turns of a recording, as parts in which the same people speak.

    Args:
        turns: in the order of their starts. They may overlap.
    """

    def __init__(self, turns: Sequence[SpeakerTurn]) -> None:
        self._parts = _parts(turns)
        self._starts_s = [part.start_s for part, _ in self._parts]
        self._ends_s = [part.end_s for part, _ in self._parts]

    def speaker(self, at: Interval, previous: int | None) -> int | None:
        """Returns who speaks for most of a time: of several, the previous speaker if it is one of them.

        Args:
            at: the time of a word or of a text.
            previous: who said what is before it; None if there is nothing before it.

        Returns:
            The speaker; in silence, who speaks next to it. None if there are no turns.
        """
        seconds = self._seconds(at) or dict.fromkeys(self._nearest(at), 0.0)
        most_s = max(seconds.values(), default=0.0)
        best = [speaker for speaker, found_s in seconds.items() if found_s >= most_s]
        return previous if previous in best else min(best, default=None)

    def changes_s(self, within: Interval) -> list[float]:
        """Returns the times at which audio is cut, so that one person speaks for most of each piece: in the middle of
        the silence, or of the overlap, between two speakers."""
        alone: list[tuple[Interval, int]] = []
        for part, speakers in self._between(within):
            if len(speakers) > 1:
                continue
            (speaker,) = speakers
            if alone and alone[-1][1] == speaker:
                alone[-1] = Interval(alone[-1][0].start_s, part.end_s), speaker
            elif part.duration_s >= _SHORTEST_S:
                alone.append((part, speaker))
        return [
            (before.end_s + after.start_s) / 2
            for (before, first), (after, second) in pairwise(alone)
            if first != second and within.start_s < (before.end_s + after.start_s) / 2 < within.end_s
        ]

    def _seconds(self, at: Interval) -> dict[int, float]:
        """Returns how long each speaker speaks within a time, without the silent ones."""
        seconds: dict[int, float] = {}
        for part, speakers in self._between(at):
            for speaker in speakers:
                seconds[speaker] = seconds.get(speaker, 0.0) + part.duration_s
        return seconds

    def _between(self, at: Interval) -> list[tuple[Interval, frozenset[int]]]:
        """Returns the parts within a time, cut at its ends."""
        first, end = bisect_right(self._ends_s, at.start_s), bisect_left(self._starts_s, at.end_s)
        return [
            (Interval(max(part.start_s, at.start_s), min(part.end_s, at.end_s)), speakers)
            for part, speakers in self._parts[first:end]
        ]

    def _nearest(self, at: Interval) -> frozenset[int]:
        """Returns the speakers of the part that is nearest to a time of silence."""
        number = bisect_left(self._starts_s, at.middle_s)
        beside = self._parts[max(0, number - 1) : number + 1]
        if not beside:
            return frozenset()
        return min(beside, key=lambda each: max(each[0].start_s - at.end_s, at.start_s - each[0].end_s))[1]


def _parts(turns: Sequence[SpeakerTurn]) -> list[tuple[Interval, frozenset[int]]]:
    """Returns the parts with speech, in order. They do not overlap."""
    edges = sorted(
        [(turn.start_s, 1, turn.speaker) for turn in turns if turn.end_s > turn.start_s]
        + [(turn.end_s, -1, turn.speaker) for turn in turns if turn.end_s > turn.start_s]
    )
    found: list[tuple[Interval, frozenset[int]]] = []
    speaking: dict[int, int] = {}
    for (at_s, step, speaker), (next_s, _, _) in pairwise([*edges, (0.0, 0, 0)]):
        speaking[speaker] = speaking.get(speaker, 0) + step
        speakers = frozenset(each for each, count in speaking.items() if count)
        if not speakers or next_s <= at_s:
            continue
        if found and found[-1][1] == speakers and found[-1][0].end_s == at_s:
            found[-1] = Interval(found[-1][0].start_s, next_s), speakers
        else:
            found.append((Interval(at_s, next_s), speakers))
    return found
