"""Joins the transcripts of consecutive segments into one, and records where text may be missing."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.intervals import Interval, merged
from rapl_protocol.prepared import NOTHING_TO_REPORT, Damage, PrepareEnd, SpeechSegment
from rapl_protocol.transcript import Segment, TokenLogprob, Transcript, join_texts

from rapl_gateway.speakers.assignment import Speakers
from rapl_gateway.transcription.checks.transcript_checks import Flag, Judged, Judgement, Suspicion
from rapl_gateway.transcription.replaced_transcript import with_replacements
from rapl_gateway.transcription.replacements import NO_REPLACEMENTS, Replacements

_DAMAGE = {
    "undecodable": "the file is damaged here and could not be decoded",
    "cut_off": "the file breaks off before its end",
}


REASON_NAMES = {each.value: each.name.lower() for each in Suspicion} | {text: name for name, text in _DAMAGE.items()}
"""The short name of each reason, for the metrics."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A part of the source that may have incomplete or wrong text, or that could not be read."""

    start_s: float
    end_s: float | None
    """None if it lasts to the end of the source, and the source's duration is not known."""
    reason: str


@dataclass(frozen=True, slots=True)
class LanguageSegment:
    """A stretch of the source in which one language was detected."""

    start_s: float
    end_s: float
    code: str


@dataclass(frozen=True, slots=True)
class _Part:
    """What is kept of a segment. Its times count from the start of the source."""

    text: str
    segments: tuple[Segment, ...]
    language: str | None
    start_s: float
    duration_s: float
    judgement: Judgement | None
    """None if speech detection did not run."""
    problems: tuple[Problem, ...]
    retried: tuple[Problem, ...]
    logprobs: tuple[TokenLogprob, ...] | None


class TranscriptBuilder:
    """Joins segments, which must be added in order. The text of `transcript()` is everything that `add_text` and `add`
    returned, concatenated, unless a part was replaced; then come the replacements.

    Args:
        replacements: of the request.
    """

    def __init__(self, replacements: Replacements = NO_REPLACEMENTS) -> None:
        self.replacements = replacements
        """What `transcript` and `logprobs` take into account."""
        self._parts: list[_Part] = []
        self._text = ""
        self._partial = ""
        self._sent = ""
        self._has_speech_detection = False
        self.duration_s = 0.0
        """Duration of the whole source, in seconds; 0 until `end` is called."""
        self.announced_s: float | None = None
        """Duration of the whole source that its file states, in seconds; None if it states none."""
        self.done_s = 0.0
        """Seconds of the source that have been transcribed."""
        self.media = NOTHING_TO_REPORT
        """What was read of the media file; complete when `end` has been called."""
        self.speakers: Speakers | None = None
        """Who speaks when; None if it was not requested, or is not known yet."""

    @property
    def partial(self) -> str:
        """The text so far of the segment that is still being decoded."""
        return self._partial

    def add_text(self, text: str) -> str:
        """Adds words of the segment that is still being decoded. Returns what they add to the whole text."""
        self._partial += text
        return self._grow(join_texts((self._text, self._partial)))

    def add(self, judged: Judged, segment: SpeechSegment) -> str:
        """Adds the transcript of a segment. Returns what it adds to the whole text.

        Raises:
            ServiceError: INTERNAL: the transcript does not begin with the words already added by `add_text`.
        """
        self._parts.append(_part(judged, segment))
        self.done_s = segment.end_s
        self._has_speech_detection = self._has_speech_detection or segment.speech is not None
        self._text, self._partial = join_texts((self._text, judged.transcript.text)), ""
        return self._grow(self._text)

    def replace(self, number: int, judged: Judged, segment: SpeechSegment) -> None:
        """Replaces the segment that was added as number `number`, from 0. Only the text of a request that is not
        streamed may change."""
        self._parts[number] = _part(judged, segment)
        self._text = self._sent = join_texts(part.text for part in self._parts)

    def end(self, end: PrepareEnd) -> None:
        """Adds the values that are known only at the end: the duration, whether speech detection was on, and what was
        read of the media file."""
        self.duration_s = end.duration_s
        self.media = end.media
        self._has_speech_detection = self._has_speech_detection or end.speech_s is not None

    def _grow(self, text: str) -> str:
        if not text.startswith(self._sent):
            raise ServiceError(ErrorCode.INTERNAL, "the engine changed text that was already streamed")
        grown, self._sent = text[len(self._sent) :], text
        return grown

    @property
    def segments_added(self) -> int:
        return len(self._parts)

    @property
    def problems(self) -> list[Problem]:
        """Where text may be missing or wrong, in order."""
        of_text = (problem for part in self._parts for problem in part.problems)
        return sorted((*of_text, *map(_unread, self.media.damage)), key=lambda problem: problem.start_s)

    @property
    def retried(self) -> list[Problem]:
        """Places whose first text was in doubt, so that they were transcribed again, in order."""
        return [problem for part in self._parts for problem in part.retried]

    @property
    def coverage(self) -> float | None:
        """Seconds of the detected speech that lie under text, divided by the seconds of detected speech and of damage;
        None without speech detection. Damage counts, because it may have contained speech.

        Speech lies under text by the times of words or segments, if the engine measured them. If not, the speech of a
        segment without a doubt counts as covered, and that of a text which is too short for as long as it usually
        takes to say it.
        """
        if not self._has_speech_detection:
            return None
        judgements = [part.judgement for part in self._parts if part.judgement]
        speech_s = sum(judgement.speech_s for judgement in judgements) + self.media.damaged_s
        return sum(judgement.covered_s for judgement in judgements) / speech_s if speech_s else 1.0

    @property
    def languages(self) -> list[str]:
        """Codes of the languages that engines detected, the one with the most audio first."""
        seconds: dict[str, float] = {}
        for part in self._parts:
            if part.language:
                seconds[part.language] = seconds.get(part.language, 0.0) + part.duration_s
        return sorted(seconds, key=seconds.__getitem__, reverse=True)

    @property
    def language_segments(self) -> list[LanguageSegment]:
        """The languages in the order in which they were spoken. Neighbours with the same one are joined."""
        found: list[LanguageSegment] = []
        for part in self._parts:
            if part.language:
                is_same = bool(found) and found[-1].code == part.language
                start_s = found.pop().start_s if is_same else part.start_s
                found.append(LanguageSegment(start_s, part.start_s + part.duration_s, part.language))
        return found

    @property
    def logprobs(self) -> tuple[TokenLogprob, ...] | None:
        """The tokens of the whole text; None if they are not known for all of it, or if some of it was replaced."""
        if self.replacements.edits(self._text):
            return None
        found = [part.logprobs for part in self._parts]
        return None if None in found else tuple(chain.from_iterable(filter(None, found)))

    def transcript(self) -> Transcript:
        """Returns the whole transcript, with the replacements."""
        transcript = Transcript(
            text=self._text,
            language=next(iter(self.languages), None),
            duration_s=self.duration_s,
            segments=tuple(segment for part in self._parts for segment in part.segments),
        )
        return with_replacements(transcript, self.replacements)


def _part(judged: Judged, segment: SpeechSegment) -> _Part:
    transcript = judged.transcript
    return _Part(
        text=transcript.text,
        segments=tuple(each.shifted(segment.start_s) for each in transcript.segments),
        language=transcript.language,
        start_s=segment.start_s,
        duration_s=transcript.duration_s,
        judgement=None if segment.speech is None else judged.judgement,
        problems=tuple(_problems(judged.judgement.flags, segment.start_s)),
        retried=tuple(_problems(judged.retried, segment.start_s)),
        logprobs=transcript.logprobs if transcript.text else (),
    )


def _unread(damage: Damage) -> Problem:
    return Problem(damage.start_s, damage.end_s, _DAMAGE[damage.reason])


def _problems(flags: tuple[Flag, ...], offset_s: float) -> Iterator[Problem]:
    """Yields one problem for doubts whose places overlap, with the reason of the first one."""
    for place in merged(flag.place for flag in flags):
        reason = next(flag.suspicion.value for flag in flags if _overlap(flag.place, place))
        yield Problem(place.start_s + offset_s, place.end_s + offset_s, reason)


def _overlap(first: Interval, second: Interval) -> bool:
    return first.start_s <= second.end_s and second.start_s <= first.end_s
