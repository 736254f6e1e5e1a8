"""Cuts what is in doubt in another way, so that an engine does not fail in the same way again."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rapl_protocol.audio import BYTES_PER_SECOND, SAMPLE_RATE_HZ, SAMPLE_WIDTH_BYTES, WavAudio
from rapl_protocol.intervals import Interval, Intervals, intersection, merged
from rapl_protocol.prepared import MAX_SEGMENT_S, SpeechSegment
from rapl_protocol.segmentation import Segmenter
from rapl_protocol.transcript import Segment, Transcript, join_texts, joined_logprobs

from rapl_gateway.transcription.checks.transcript_checks import Judged

MIN_TO_CUT_S = 6.0
"""Seconds of audio from which it is cut into halves."""
_SILENCE_S = 0.25
_MIN_PAUSE_S = 0.2
_MIN_PIECE = 0.25
"""Shortest piece, as a share of the audio that is cut into two."""
_NEARLY_ALL = 0.75
"""Share of a segment from which all of it is transcribed again."""
_EDGE_S = 0.3
"""Largest distance, in seconds, of a pause from the edge of a text: engines' times are no better than this."""


@dataclass(frozen=True, slots=True)
class Recut:
    """A segment, cut again. Times count from the segment's start."""

    before: tuple[Segment, ...]
    """Text before the pieces that is not in doubt, and is kept."""
    pieces: list[SpeechSegment]
    """Audio to transcribe again."""
    after: tuple[Segment, ...]
    """Text after the pieces that is kept."""

    def joined(self, transcripts: Sequence[Transcript], duration_s: float) -> Transcript:
        """Returns the transcript of the whole segment.

        Args:
            transcripts: one for each piece.
            duration_s: duration of the segment.
        """
        again = [
            _within(each.shifted(piece.start_s), duration_s)
            for transcript, piece in zip(transcripts, self.pieces, strict=True)
            for each in transcript.segments
        ]
        kept = [Interval(each.start_s, each.end_s) for each in (*self.before, *self.after)]
        spans = [
            span.shifted(piece.start_s)
            for transcript, piece in zip(transcripts, self.pieces, strict=True)
            for span in transcript.text_spans or ()
        ]
        is_measured = bool(kept) or any(each.text_spans is not None for each in transcripts)
        texts = [each.text for each in self.before], [t.text for t in transcripts], [each.text for each in self.after]
        return Transcript(
            text=join_texts(text for part in texts for text in part),
            language=next((each.language for each in (*transcripts, *self.before, *self.after) if each.language), None),
            duration_s=duration_s,
            segments=(*self.before, *again, *self.after),
            text_spans=merged([*kept, *spans]) if is_measured else None,
            logprobs=None if self.before or self.after else joined_logprobs(transcripts),
            is_truncated=any(each.is_truncated for each in transcripts),
        )


def recut(segment: SpeechSegment, judged: Judged, *, is_first: bool) -> Recut:
    """Cuts a segment again.

    If the engine measured the times of its texts, and texts before or after the doubted place are not in doubt, these
    are kept up to a pause, and the audio between the pauses is one piece. If everything is in doubt, the first attempt
    gets the whole with other edges: it costs one call of the engine, and the words keep their context. Later attempts
    get halves.
    """
    before, after = _not_flagged(judged)
    pauses = [Interval(one.end_s, following.start_s) for one, following in pairwise(segment.speech or ())]
    while before and not _pause_at(before[-1].end_s, pauses):
        before = before[:-1]
    while after and not _pause_at(after[0].start_s, pauses):
        after = after[1:]
    first = _pause_at(before[-1].end_s, pauses) if before else None
    last = _pause_at(after[0].start_s, pauses) if after else None
    start_s = first.middle_s if first else 0.0
    end_s = last.middle_s if last else segment.audio.duration_s
    if 0.0 < end_s - start_s < _NEARLY_ALL * segment.audio.duration_s:
        return Recut(before, [piece_of(segment, start_s, end_s)], after)
    whole = _with_other_edges(segment) if is_first else None
    return Recut((), [whole] if whole else _halves(segment), ())


def _with_other_edges(segment: SpeechSegment) -> SpeechSegment | None:
    """Returns the segment with silence around it. If it would become too long for an engine, the silence at its ends is
    cut off instead; None if there is none."""
    audio, speech = segment.audio, segment.speech
    if audio.duration_s + 2 * _SILENCE_S <= MAX_SEGMENT_S:
        silence = bytes(int(_SILENCE_S * BYTES_PER_SECOND))
        padded = WavAudio(b"".join((silence, audio.pcm, silence)))
        shifted = speech and tuple(span.shifted(_SILENCE_S) for span in speech)
        return SpeechSegment(-_SILENCE_S, audio.duration_s + _SILENCE_S, padded, shifted)
    if not speech:
        return None
    start_s = max(0.0, speech[0].start_s - _SILENCE_S)
    end_s = min(audio.duration_s, speech[-1].end_s + _SILENCE_S)
    return piece_of(segment, start_s, end_s) if end_s - start_s < audio.duration_s - _SILENCE_S else None


def _halves(segment: SpeechSegment) -> list[SpeechSegment]:
    """Returns the audio as two pieces, cut at the longest pause near its middle; if speech detection found no pause
    there, at the quietest point of its middle third."""
    audio = segment.audio
    cut_s = _longest_pause_s(segment.speech or (), audio.duration_s)
    if cut_s is None:
        segmenter = Segmenter(longest_s=audio.duration_s * 2 / 3, search_s=audio.duration_s / 3)
        pieces = [*segmenter.feed(audio.pcm), *segmenter.finish()]
        edges = [0.0, *(piece.end_s for piece in pieces)]
    else:
        edges = [0.0, cut_s, audio.duration_s]
    return [piece_of(segment, start_s, end_s) for start_s, end_s in pairwise(edges)]


def _not_flagged(judged: Judged) -> tuple[tuple[Segment, ...], tuple[Segment, ...]]:
    """Returns the segments before and after everything that is in doubt."""
    if judged.transcript.text_spans is None:
        return (), ()
    places = [flag.place for flag in judged.judgement.flags]
    first_s, last_s = min(place.start_s for place in places), max(place.end_s for place in places)
    segments = judged.transcript.segments
    return (
        tuple(each for each in segments if each.end_s <= first_s + _EDGE_S and each.start_s < first_s),
        tuple(each for each in segments if each.start_s >= last_s - _EDGE_S and each.end_s > last_s),
    )


def _pause_at(edge_s: float, pauses: Sequence[Interval]) -> Interval | None:
    """Returns the pause nearest to the edge of a text; None if there is none close to it."""
    near = [pause for pause in pauses if pause.start_s - _EDGE_S <= edge_s <= pause.end_s + _EDGE_S]
    return min(near, key=lambda pause: abs(pause.middle_s - edge_s)) if near else None


def _longest_pause_s(speech: Intervals, duration_s: float) -> float | None:
    """Returns the middle of the longest pause that leaves two pieces of some length; None if there is none."""
    pauses = [Interval(before.end_s, after.start_s) for before, after in pairwise(speech)]
    edge_s = _MIN_PIECE * duration_s
    inner = [
        (pause.duration_s, pause.middle_s)
        for pause in pauses
        if pause.duration_s >= _MIN_PAUSE_S and edge_s <= pause.middle_s <= duration_s - edge_s
    ]
    return max(inner)[1] if inner else None


def piece_of(segment: SpeechSegment, start_s: float, end_s: float) -> SpeechSegment:
    """Returns a part of a segment. Its times count from the start of the segment."""
    start, end = (round(at_s * SAMPLE_RATE_HZ) * SAMPLE_WIDTH_BYTES for at_s in (start_s, end_s))
    speech = segment.speech
    if speech is not None:
        speech = tuple(s.shifted(-start_s) for s in intersection(speech, (Interval(start_s, end_s),)))
    return SpeechSegment(start_s, end_s, WavAudio(segment.audio.pcm[start:end]), speech)


def _within(segment: Segment, duration_s: float) -> Segment:
    edges = {"start_s": max(0.0, segment.start_s), "end_s": min(duration_s, segment.end_s)}
    return segment.model_copy(update=edges)
