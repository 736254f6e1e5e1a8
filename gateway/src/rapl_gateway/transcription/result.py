"""Puts the transcripts of consecutive segments together to that of the whole, and keeps account of what is missing."""

from dataclasses import dataclass

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.prepared import PrepareEnd, SpeechSegment
from rapl_protocol.transcript import Segment, Transcript, join_texts

from rapl_gateway.transcription.checks import Suspicion


@dataclass(frozen=True, slots=True)
class Problem:
    """A stretch of the source whose text may not be all of what was said."""

    start_s: float
    end_s: float
    doubt: Suspicion


class TranscriptBuilder:
    """Takes parts in order; what `add_text` and `add` return, put together, is the text of `transcript()`."""

    def __init__(self) -> None:
        self._text = ""
        self._partial = ""
        self._told = ""
        self._segments: list[Segment] = []
        self._language_s: dict[str, float] = {}
        self._speech_s = self._covered_s = 0.0
        self._is_judged = False
        self.problems: list[Problem] = []
        self.duration_s = 0.0
        """Of the whole source; known at the end."""
        self.announced_s: float | None = None
        """Of the whole source, as its file says; None where it does not."""
        self.done_s = 0.0
        """How much of the source has been transcribed."""

    @property
    def partial(self) -> str:
        """What was told of the part that is still being decoded."""
        return self._partial

    def add_text(self, text: str) -> str:
        """Adds words of the part that is still being decoded, and returns how the text grows by them."""
        self._partial += text
        return self._grow(join_texts((self._text, self._partial)))

    def add(self, part: Transcript, heard: SpeechSegment, doubt: Suspicion | None = None) -> str:
        """Adds the transcript of a segment, and returns how the text grows by it.

        Args:
            part: what the engine made of it.
            heard: the segment.
            doubt: why this may not be all that was said in it.

        Raises:
            ServiceError: INTERNAL, where the part's text is not the one whose beginning was told already.
        """
        self._text, self._partial = join_texts((self._text, part.text)), ""
        grown = self._grow(self._text)
        self._segments += [segment.shifted(heard.start_s) for segment in part.segments]
        if part.language:
            self._language_s[part.language] = self._language_s.get(part.language, 0.0) + part.duration_s
        self._account(heard, bool(part.text), doubt)
        return grown

    def end(self, end: PrepareEnd) -> None:
        """Takes note of what is known only now: how long the source was, and whether speech was looked for in it."""
        self.duration_s = end.duration_s
        self._is_judged = self._is_judged or end.speech_s is not None

    def _account(self, heard: SpeechSegment, has_text: bool, doubt: Suspicion | None) -> None:
        self.done_s = heard.end_s
        if doubt:
            self.problems.append(Problem(heard.start_s, heard.end_s, doubt))
        if heard.speech_s is not None:
            self._is_judged = True
            self._speech_s += heard.speech_s
            self._covered_s += heard.speech_s if has_text and not doubt else 0.0

    def _grow(self, text: str) -> str:
        if not text.startswith(self._told):
            raise ServiceError(ErrorCode.INTERNAL, "the engine took back words that it had given")
        grown, self._told = text[len(self._told) :], text
        return grown

    @property
    def coverage(self) -> float | None:
        """Seconds of speech with undoubted text, as a share of all speech; None where speech was not looked for."""
        if not self._is_judged:
            return None
        return self._covered_s / self._speech_s if self._speech_s else 1.0

    @property
    def languages(self) -> list[str]:
        """Codes of the languages that engines heard, the one of most audio first."""
        return sorted(self._language_s, key=self._language_s.__getitem__, reverse=True)

    def transcript(self) -> Transcript:
        return Transcript(
            text=self._text,
            language=next(iter(self.languages), None),
            duration_s=self.duration_s,
            segments=tuple(self._segments),
        )
