"""The parts of a transcript: which text the engine placed where, and the speech that has no text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rapl_protocol.intervals import Interval, Intervals, difference, intersection, merged, total_s
from rapl_protocol.prepared import SpeechSegment
from rapl_protocol.transcript import Segment, Transcript

from rapl_gateway.transcription.checks.words import words_of

_MIN_FOR_TEXT_S = 0.3
"""Seconds of speech. With less speech than this, a segment without text is not in doubt."""
_MIN_GAP_S = 1.0
"""Seconds of speech without text, within a segment that has text, that put it in doubt."""
_TEXT_EDGE_S = 0.5
"""Seconds before and after a text that count as text: an engine's times are no better than this."""
_SPEECH_GAP_S = 1.5
"""Seconds of silence between two passages without text that count as one passage."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a segment, and the text that the engine placed there."""

    place: Interval
    text: str
    speech_s: float
    """Seconds of speech in it."""
    covered_s: float
    """Seconds of this speech that lie under text."""
    is_detected: bool
    """Whether speech detection ran. Without it, the whole part counts as speech, and some of it may be silence."""


def speech_of(segment: SpeechSegment) -> Intervals:
    """Returns the speech in a segment. Without speech detection, all of it may be speech."""
    return (Interval(0.0, segment.audio.duration_s),) if segment.speech is None else segment.speech


def parts_of(transcript: Transcript, segment: SpeechSegment) -> list[Part]:
    """Returns the parts of a transcript: its segments, if the engine measured their times, otherwise the whole."""
    if not words_of(transcript.text):
        return []
    speech, duration_s = speech_of(segment), segment.audio.duration_s
    is_detected, whole = segment.speech is not None, Interval(0.0, duration_s)
    if transcript.text_spans is None:
        return [Part(whole, transcript.text, total_s(speech), total_s(speech), is_detected)]
    under_text = intersection(speech, _under_text(transcript.text_spans, duration_s))
    parts: list[Part] = []
    for place, text in [*_places(transcript.segments, duration_s)] or [(whole, transcript.text)]:
        spoken = intersection(speech, (place,))
        covered_s = total_s(intersection(spoken, under_text))
        parts.append(Part(place, text, total_s(spoken), covered_s, is_detected))
    return parts


def _places(segments: Sequence[Segment], duration_s: float) -> Iterator[tuple[Interval, str]]:
    """Yields the place of each segment with its text: without overlap, and with the edges that its times leave out."""
    start_s = 0.0
    for segment, following in zip_longest(segments, segments[1:]):
        place = _widened(max(start_s, segment.start_s), segment.end_s, duration_s)
        end_s = place.end_s
        if following:
            end_s = min(end_s, max(start_s, (segment.end_s + following.start_s) / 2))
        yield Interval(max(start_s, place.start_s), end_s), segment.text
        start_s = end_s


def _under_text(spans: Intervals, duration_s: float) -> Intervals:
    return merged(_widened(span.start_s, span.end_s, duration_s) for span in spans)


def _widened(start_s: float, end_s: float, duration_s: float) -> Interval:
    return Interval(max(0.0, start_s - _TEXT_EDGE_S), min(duration_s, end_s + _TEXT_EDGE_S))


def without_text(speech: Intervals, transcript: Transcript) -> Iterator[Interval]:
    """Yields the passages of speech without text that are long enough for a word."""
    if not words_of(transcript.text):
        if total_s(speech) >= _MIN_FOR_TEXT_S:
            yield Interval(speech[0].start_s, speech[-1].end_s)
        return
    if transcript.text_spans is None:
        return
    silent = difference(speech, _under_text(transcript.text_spans, transcript.duration_s))
    for passage in merged(silent, gap_s=_SPEECH_GAP_S):
        if total_s(intersection(silent, (passage,))) >= _MIN_GAP_S:
            yield passage
