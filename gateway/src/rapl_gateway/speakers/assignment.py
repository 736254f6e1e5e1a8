"""Gives the words of a transcript to the speakers of its recording."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from rapl_protocol.intervals import Interval
from rapl_protocol.speakers import SpeakerTurn
from rapl_protocol.transcript import Segment, Word

from rapl_gateway.speakers.labels import Labels
from rapl_gateway.speakers.text_parts import text_parts
from rapl_gateway.speakers.timeline import SpeakerTimeline


@dataclass(frozen=True, slots=True)
class Speakers:
    """The speakers of one recording."""

    turns: tuple[SpeakerTurn, ...]
    names: tuple[str, ...] = ()
    """The names of the known speakers, in the order of their references."""


@dataclass(frozen=True, slots=True)
class SpokenSegment:
    """A segment, or a part of one, that one person says."""

    segment: Segment
    speaker: str
    """The name of a known speaker; otherwise a letter."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A word with its part of the text."""

    text: str
    word: Word
    speaker: int | None


def spoken_segments(segments: Iterable[Segment], speakers: Speakers) -> list[SpokenSegment]:
    """Returns the segments with text, cut where the speaker changes. Each word is in one of them, in the same order.

    A word belongs to who speaks for most of its time. A segment without the times of words is not cut.
    """
    timeline, labels = SpeakerTimeline(speakers.turns), Labels(speakers.turns, speakers.names)
    found: list[SpokenSegment] = []
    previous: int | None = None
    for segment in segments:
        if segment.text.strip():
            for part, speaker in _cut(segment, timeline, previous):
                found.append(SpokenSegment(part, labels.of(speaker)))
                previous = speaker
    return found


def _cut(segment: Segment, timeline: SpeakerTimeline, previous: int | None) -> Iterator[tuple[Segment, int | None]]:
    """Yields the parts of a segment, each with its speaker."""
    words = [word for word in segment.words or () if word.word.strip()]
    texts = text_parts(segment.text, words)
    if texts is None:
        yield segment, timeline.speaker(Interval(segment.start_s, segment.end_s), previous)
        return
    parts: list[_Part] = []
    for word, text in zip(words, texts, strict=True):
        previous = timeline.speaker(Interval(word.start_s, word.end_s), previous)
        parts.append(_Part(text, word, previous))
    runs = [(speaker, list(run)) for speaker, run in groupby(parts, lambda part: part.speaker)]
    for number, (speaker, run) in enumerate(runs):
        yield _segment_of(segment, run, is_first=number == 0, is_last=number + 1 == len(runs)), speaker


def _segment_of(whole: Segment, run: Sequence[_Part], *, is_first: bool, is_last: bool) -> Segment:
    """Returns a part of a segment. Its first and its last part keep the segment's own ends."""
    start_s = whole.start_s if is_first else run[0].word.start_s
    end_s = whole.end_s if is_last else max(part.word.end_s for part in run)
    changes = {
        "text": "".join(part.text for part in run),
        "words": tuple(part.word for part in run),
        "start_s": start_s,
        "end_s": max(start_s, end_s),
        "events": whole.events if is_first else (),
    }
    return whole.model_copy(update=changes)
