"""Joins the transcripts of consecutive segments into one, and records where text may be missing."""

from dataclasses import dataclass

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.prepared import PrepareEnd, SpeechSegment
from rapl_protocol.transcript import Segment, Transcript, join_texts

from rapl_gateway.transcription.checks import Suspicion


@dataclass(frozen=True, slots=True)
class Problem:
    """A part of the source that may have incomplete text."""

    start_s: float
    end_s: float
    suspicion: Suspicion


class TranscriptBuilder:
    """Joins segments, which must be added in order. The text of `transcript()` is everything that `add_text` and `add`
    returned, concatenated."""

    def __init__(self) -> None:
        self._text = ""
        self._partial = ""
        self._sent = ""
        self._segments: list[Segment] = []
        self._language_s: dict[str, float] = {}
        self._speech_s = self._covered_s = 0.0
        self._has_speech_detection = False
        self.problems: list[Problem] = []
        self.duration_s = 0.0
        """Duration of the whole source, in seconds; 0 until `end` is called."""
        self.announced_s: float | None = None
        """Duration of the whole source that its file states, in seconds; None if it states none."""
        self.done_s = 0.0
        """Seconds of the source that have been transcribed."""

    @property
    def partial(self) -> str:
        """The text so far of the segment that is still being decoded."""
        return self._partial

    def add_text(self, text: str) -> str:
        """Adds words of the segment that is still being decoded. Returns what they add to the whole text."""
        self._partial += text
        return self._grow(join_texts((self._text, self._partial)))

    def add(self, part: Transcript, segment: SpeechSegment, suspicion: Suspicion | None = None) -> str:
        """Adds the transcript of a segment. Returns what it adds to the whole text.

        Args:
            part: the engine's transcript.
            segment: the segment that was transcribed.
            suspicion: why the transcript may be incomplete.

        Raises:
            ServiceError: INTERNAL: the transcript does not begin with the words already added by `add_text`.
        """
        self._text, self._partial = join_texts((self._text, part.text)), ""
        grown = self._grow(self._text)
        self._segments += [each.shifted(segment.start_s) for each in part.segments]
        if part.language:
            self._language_s[part.language] = self._language_s.get(part.language, 0.0) + part.duration_s
        self._count(segment, bool(part.text), suspicion)
        return grown

    def end(self, end: PrepareEnd) -> None:
        """Adds the values that are known only at the end: the duration, and whether speech detection was on."""
        self.duration_s = end.duration_s
        self._has_speech_detection = self._has_speech_detection or end.speech_s is not None

    def _count(self, segment: SpeechSegment, has_text: bool, suspicion: Suspicion | None) -> None:
        self.done_s = segment.end_s
        if suspicion:
            self.problems.append(Problem(segment.start_s, segment.end_s, suspicion))
        if segment.speech_s is not None:
            self._has_speech_detection = True
            self._speech_s += segment.speech_s
            self._covered_s += segment.speech_s if has_text and not suspicion else 0.0

    def _grow(self, text: str) -> str:
        if not text.startswith(self._sent):
            raise ServiceError(ErrorCode.INTERNAL, "the engine changed text that was already streamed")
        grown, self._sent = text[len(self._sent) :], text
        return grown

    @property
    def coverage(self) -> float | None:
        """Share of the detected speech that has text without a suspicion, 0 to 1; None without speech detection."""
        if not self._has_speech_detection:
            return None
        return self._covered_s / self._speech_s if self._speech_s else 1.0

    @property
    def languages(self) -> list[str]:
        """Codes of the languages that engines detected, the one with the most audio first."""
        return sorted(self._language_s, key=self._language_s.__getitem__, reverse=True)

    def transcript(self) -> Transcript:
        return Transcript(
            text=self._text,
            language=next(iter(self.languages), None),
            duration_s=self.duration_s,
            segments=tuple(self._segments),
        )
