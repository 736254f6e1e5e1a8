"""Judges whether the transcript of a segment contains everything that was said in it.

Engines lose words without an error. They stop early, leave out a passage, repeat one phrase until the end of the
segment, write the previous segment's text again, or write a phrase that they know from their training. A judgement
compares what is known: where speech lies and where text lies, how much text the speech should have, the engine's own
confidence, and the segment before. `docs/decisions/0006` has the measurements behind the thresholds.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from enum import StrEnum

from rapl_protocol.intervals import Interval, intersection, merged, total_s
from rapl_protocol.prepared import SpeechSegment
from rapl_protocol.transcript import Decoding, Segment, Transcript

from rapl_gateway.transcription.checks.parts import Part, parts_of, speech_of, without_text
from rapl_gateway.transcription.checks.speech_rate import FASTEST, SLOWEST, SpeechRate, usual_s
from rapl_gateway.transcription.checks.stock_phrases import is_stock_phrase
from rapl_gateway.transcription.checks.words import MOST_COMPARED_WORDS, loop_words, words_of

_MIN_FOR_RATE_S = 1.5
"""Seconds of speech from which the amount of text is compared with the usual amount."""
_LONG_SPEECH_S = 5.0
"""Seconds of speech from which the recording's own speech rate is a narrow bound."""
_SLOW, _FAST = 0.6, 1.7
"""Bounds as factors of the recording's own speech rate."""
_VERY_SLOW, _VERY_FAST = 0.5, 2.0
"""The same for less than _LONG_SPEECH_S of speech."""
_MIN_SAME = 5
"""Number of words from which a text that begins with the text of the segment before is in doubt."""
_UNSURE_LOGPROB = -1.0
"""Mean log-probability below which Whisper itself tries again."""
_REPETITIVE = 2.4
"""Compression ratio above which Whisper itself tries again."""
_LITTLE_SPEECH_S = 1.5
"""Seconds. So little detected speech may be a noise."""
_AGREEMENT = 0.85
"""Share of equal words from which two attempts agree."""


class Suspicion(StrEnum):
    """Why a text may be incomplete or wrong."""

    NO_TEXT = "speech without text"
    LOOP = "the same words again and again"
    TOO_LITTLE = "too little text for so much speech"
    TOO_MUCH = "too much text for so little speech"
    SAME_AGAIN = "the same text as before it"
    STOCK_PHRASE = "a phrase that engines write where they recognize nothing"
    UNSURE = "the engine is not sure of its text"
    TRUNCATED = "the engine stopped before the end"


_UNLIKELY = frozenset({Suspicion.UNSURE, Suspicion.TOO_MUCH})
"""Doubts about a text that may be words for a noise."""
_REMAINS_FROM_S = {
    Suspicion.NO_TEXT: 1.0,
    Suspicion.TOO_LITTLE: _LONG_SPEECH_S,
    Suspicion.TRUNCATED: 0.0,
    Suspicion.UNSURE: 0.0,
}
"""Length of a place, in seconds, from which a doubt remains if another attempt returns the same text. An engine can
lose the same words twice; less speech than this may be a cough or an "mm"."""
_OF_OTHER_SPEECH = frozenset({Suspicion.LOOP, Suspicion.SAME_AGAIN, Suspicion.STOCK_PHRASE})
"""Doubts about a text that may belong to no speech here."""


@dataclass(frozen=True, slots=True)
class Flag:
    suspicion: Suspicion
    place: Interval
    """The part of the segment that is in doubt, from the segment's start."""

    def shifted(self, offset_s: float) -> "Flag":
        return Flag(self.suspicion, self.place.shifted(offset_s))


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found about the transcript of one segment."""

    flags: tuple[Flag, ...]
    speech_s: float
    """Seconds of speech in the segment."""
    covered_s: float
    """Seconds of this speech that lie under text."""
    flagged_s: float
    """Seconds of this speech that lie in a doubted place."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A transcript of a segment with the judgement about it."""

    transcript: Transcript
    judgement: Judgement
    retried: tuple[Flag, ...] = ()
    """The doubts about earlier transcripts of the segment, because of which it was transcribed again."""


class TranscriptChecks:
    """Judges the segments of one recording, in order."""

    def __init__(self) -> None:
        self.rate = SpeechRate()
        self._previous: list[str] = []

    def judge(self, transcript: Transcript, segment: SpeechSegment) -> Judged:
        """Returns the transcript of a segment with the doubts about it, and with how much of the speech has text."""
        parts = parts_of(transcript, segment)
        flags = (*self._text_flags(transcript, segment, parts), *self._rate_flags(parts))
        return self._judged(transcript, segment, parts, flags)

    def judge_by_rate(self, judged: Judged, segment: SpeechSegment) -> Judged:
        """Judges a segment again that was accepted without a doubt, before the recording's speech rate was known.

        Returns:
            The same object if there is still no doubt. Otherwise the segment no longer counts for the speech rate.
        """
        parts = parts_of(judged.transcript, segment)
        flags = tuple(self._rate_flags(parts))
        if judged.judgement.flags or not flags:
            return judged
        for part in parts:
            self.rate.remove(part.text, part.speech_s)
        return self._judged(judged.transcript, segment, parts, flags)

    def _judged(
        self, transcript: Transcript, segment: SpeechSegment, parts: Sequence[Part], flags: tuple[Flag, ...]
    ) -> Judged:
        speech, flagged = speech_of(segment), merged(flag.place for flag in flags)
        reasons: dict[Interval, set[Suspicion]] = {}
        for flag in flags:
            reasons.setdefault(flag.place, set()).add(flag.suspicion)
        judgement = Judgement(
            flags,
            speech_s=total_s(speech),
            covered_s=sum(self._covered_s(part, reasons.get(part.place, set())) for part in parts),
            flagged_s=total_s(intersection(speech, flagged)),
        )
        return Judged(transcript, judgement)

    def accept(self, judged: Judged, segment: SpeechSegment) -> None:
        """Adds a transcript: the next segment is compared with it. If it is not in doubt, its speech rate counts."""
        self._previous = words_of(judged.transcript.text)
        if not judged.judgement.flags:
            for part in parts_of(judged.transcript, segment):
                self.rate.add(part.text, part.speech_s)

    def _text_flags(self, transcript: Transcript, segment: SpeechSegment, parts: Sequence[Part]) -> Iterator[Flag]:
        whole = Interval(0.0, segment.audio.duration_s)
        if transcript.is_truncated:
            yield Flag(Suspicion.TRUNCATED, whole)
        if segment.speech is not None:  # without speech detection, what has no text may be silence
            yield from (Flag(Suspicion.NO_TEXT, gap) for gap in without_text(segment.speech, transcript))
        words = words_of(transcript.text)
        if is_stock_phrase(words):
            yield Flag(Suspicion.STOCK_PHRASE, whole)
        if len(self._previous) >= _MIN_SAME and words[: len(self._previous)] == self._previous:
            yield Flag(Suspicion.SAME_AGAIN, whole)
        if loop_words(words):
            looped = [part.place for part in parts if loop_words(words_of(part.text))]
            yield from (Flag(Suspicion.LOOP, place) for place in looped or [whole])
        yield from _engine_flags(transcript.segments)

    def _rate_flags(self, parts: Sequence[Part]) -> Iterator[Flag]:
        spoken_s = sum(part.speech_s for part in parts)
        usual = sum(usual_s(part.text) for part in parts)
        if len(parts) > 1 and usual > self._bounds(spoken_s)[1] * max(spoken_s, _MIN_FOR_RATE_S):
            yield Flag(Suspicion.TOO_MUCH, Interval(parts[0].place.start_s, parts[-1].place.end_s))
        for part in parts:
            slow, fast = self._bounds(part.speech_s)
            rate = usual_s(part.text) / max(part.speech_s, _MIN_FOR_RATE_S)
            if rate > fast:
                yield Flag(Suspicion.TOO_MUCH, part.place)
            elif rate < slow and part.is_detected and part.speech_s >= _MIN_FOR_RATE_S:
                yield Flag(Suspicion.TOO_LITTLE, part.place)

    def _bounds(self, speech_s: float) -> tuple[float, float]:
        """Returns the slowest and the fastest speech rate that are not in doubt."""
        own = self.rate.value
        if own is None:
            return SLOWEST, FASTEST
        slow, fast = (_SLOW, _FAST) if speech_s >= _LONG_SPEECH_S else (_VERY_SLOW, _VERY_FAST)
        return slow * own, fast * own

    def _covered_s(self, part: Part, reasons: set[Suspicion]) -> float:
        """Returns the seconds of speech that lie under the text of a part.

        A text that is not of this speech covers nothing. A text that is too short for its speech covers as much as it
        takes at the recording's speech rate, or at the usual one.
        """
        if reasons & _OF_OTHER_SPEECH:
            return 0.0
        if reasons & {Suspicion.TOO_LITTLE, Suspicion.TRUNCATED}:
            return min(part.covered_s, usual_s(part.text) / (self.rate.value or 1.0))
        return part.covered_s


def better(first: Judged, second: Judged) -> Judged:
    """Returns the better one of two attempts at the same speech, with the doubts that remain.

    It is the one with less speech in doubt; if both have as much, the one with more speech under text. Two attempts
    with the same words confirm that these words were spoken, but not that nothing is missing.
    """
    if not second.judgement.flags:
        return second
    if _are_invented(first, second):
        return _without_text_of(first)
    if _agree(first.transcript.text, second.transcript.text):
        flags = (flag for flag in first.judgement.flags if _remains(flag))
        return Judged(first.transcript, replace(first.judgement, flags=tuple(flags)))
    return min(second, first, key=lambda each: (each.judgement.flagged_s, -each.judgement.covered_s))


def _are_invented(first: Judged, second: Judged) -> bool:
    """Returns whether an engine wrote words for a noise: it is not sure of them or they are too many for so little
    speech, and they are others each time, or both are true each time."""
    attempts = (first, second)
    if any(each.judgement.speech_s >= _LITTLE_SPEECH_S for each in attempts):
        return False
    reasons = [{flag.suspicion for flag in each.judgement.flags} & _UNLIKELY for each in attempts]
    if all(each >= _UNLIKELY for each in reasons):
        return True
    return all(reasons) and not _agree(first.transcript.text, second.transcript.text)


def _without_text_of(judged: Judged) -> Judged:
    empty = judged.transcript.model_copy(update={"text": "", "segments": (), "text_spans": ()})
    flags = tuple(flag for flag in judged.judgement.flags if flag.suspicion in _UNLIKELY)
    return Judged(empty, replace(judged.judgement, flags=flags, covered_s=0.0))


def _remains(flag: Flag) -> bool:
    """Returns whether a doubt remains although another attempt has returned the same words."""
    return flag.place.duration_s >= _REMAINS_FROM_S.get(flag.suspicion, math.inf)


def _agree(first: str, second: str) -> bool:
    words = words_of(first), words_of(second)
    if max(map(len, words)) > MOST_COMPARED_WORDS:
        return words[0] == words[1]
    matcher = SequenceMatcher(None, *words, autojunk=False)
    return matcher.quick_ratio() >= _AGREEMENT and matcher.ratio() >= _AGREEMENT


def _engine_flags(segments: Iterable[Segment]) -> Iterator[Flag]:
    for segment in segments:
        if decoding := segment.decoding:
            place = Interval(segment.start_s, segment.end_s)
            if _is_unsure(decoding):
                yield Flag(Suspicion.UNSURE, place)
            if decoding.compression_ratio is not None and decoding.compression_ratio > _REPETITIVE:
                yield Flag(Suspicion.LOOP, place)


def _is_unsure(decoding: Decoding) -> bool:
    if decoding.avg_logprob is None:
        return decoding.temperature is not None  # Whisper, and its value was not a number
    return decoding.avg_logprob < _UNSURE_LOGPROB
