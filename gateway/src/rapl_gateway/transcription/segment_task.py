"""One segment at its engine: begun at once, told in its turn, and heard again where words may be missing."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace

from rapl_protocol.audio import BYTES_PER_SECOND, WavAudio
from rapl_protocol.errors import ServiceError
from rapl_protocol.prepared import SpeechSegment
from rapl_protocol.segmentation import Segmenter
from rapl_protocol.transcript import Segment, TranscribeOptions, Transcript, join_texts

from rapl_gateway.backends.fallback import FallbackClient
from rapl_gateway.settings import Settings
from rapl_gateway.transcription.checks import Suspicion, TranscriptChecks

INTERACTIVE_S = 25.0
"""A segment that ends later is long, or part of something long: the first one of a long file is longer than this."""
_SHORTEST_TO_CUT_S = 6.0
_SILENCE_S = 0.25

log = logging.getLogger("rapl")


@dataclass(frozen=True, slots=True)
class EngineCall:
    """The engine of one job, with what the job asks of it."""

    client: FallbackClient
    options: TranscribeOptions
    request_id: str
    settings: Settings

    async def ask(self, audio: WavAudio, options: TranscribeOptions | None = None) -> Transcript:
        """Raises: ServiceError."""
        return await self.client.transcribe(
            audio,
            options or self.options,
            deadline_s=self.settings.deadline_s(audio.duration_s),
            request_id=self.request_id,
        )

    def words(self, audio: WavAudio, options: TranscribeOptions) -> AsyncGenerator[str | Transcript, None]:
        """The text as it is decoded, where the engine has it so, and then the transcript.

        Raises:
            ServiceError: also in the middle.
        """
        deadline_s = self.settings.deadline_s(audio.duration_s)
        return self.client.stream(audio, options, deadline_s=deadline_s, request_id=self.request_id)


class SegmentTask:
    """The engine's work on one segment, from the making of this on.

    Args:
        engine: does it.
        segment: what is heard.
        is_streamed: whether the text is wanted word by word.
    """

    def __init__(self, engine: EngineCall, segment: SpeechSegment, *, is_streamed: bool = False) -> None:
        self.segment = segment
        self._engine = engine
        self._options = engine.options
        if segment.end_s > INTERACTIVE_S:
            self._options = engine.options.model_copy(update={"is_long": True})
        self._told: asyncio.Queue[str | None] | None = asyncio.Queue() if is_streamed else None
        self._task = asyncio.create_task(
            engine.ask(segment.audio, self._options) if self._told is None else self._stream(self._told)
        )

    async def _stream(self, told: asyncio.Queue[str | None]) -> Transcript:
        """Tells the words as they come. An engine's words end with the transcript, or with an error."""
        transcript: Transcript | None = None
        try:
            async with aclosing(self._engine.words(self.segment.audio, self._options)) as words:
                async for word in words:
                    if isinstance(word, Transcript):
                        transcript = word
                    else:
                        told.put_nowait(word)
        finally:
            told.put_nowait(None)
        assert transcript
        return transcript

    async def next(self) -> str | Transcript:
        """More of the text, where it is wanted word by word and the engine has it so; at last the transcript.

        Raises:
            ServiceError: what kept the engine from it.
        """
        if self._told is not None and (told := await self._told.get()) is not None:
            return told
        return await self._task

    def judge(self, speech_s: float | None) -> None:
        """Takes note of how much speech there is in a segment that was begun before all of it had been judged."""
        if speech_s is not None:
            self.segment = replace(self.segment, speech_s=speech_s)

    async def settled(
        self, first: Transcript, scrutiny: TranscriptChecks, *, is_told: bool
    ) -> tuple[Transcript, Suspicion | None]:
        """The transcript to keep, and the doubt that is left about it.

        Args:
            first: what the engine made of the segment.
            scrutiny: what is known of the recording so far; learns from this segment.
            is_told: whether words of it were told already, which cannot be taken back.
        """
        doubt = Suspicion.TRUNCATED if first.is_truncated else scrutiny.doubt(first.text, self._speech_s)
        if doubt is Suspicion.NO_TEXT and self.segment.speech_s is None:
            doubt = None  # nobody says that there was speech
        part = first
        if doubt and not is_told:
            part, doubt = await self._again(first, doubt, scrutiny)
        if not doubt:
            scrutiny.accept(part.text, self._speech_s)
        return part, doubt

    async def _again(
        self, first: Transcript, doubt: Suspicion, scrutiny: TranscriptChecks
    ) -> tuple[Transcript, Suspicion | None]:
        """Transcribes a segment whose text is in doubt once more, in another form. Gives the better text, and the
        doubt if it is still there."""
        log.warning(
            "request_id=%s at_s=%.1f doubt=%r: looking again",
            self._engine.request_id, self.segment.start_s, doubt.value,
        )  # fmt: skip
        audio = self.segment.audio
        again = [(await self._engine.ask(piece.audio, self._options), piece.start_s) for piece in otherwise(audio)]
        text = join_texts(part.text for part, _ in again)
        is_cut_short = any(part.is_truncated for part, _ in again)
        if doubt is Suspicion.TRUNCATED and not is_cut_short:
            is_better, left = True, scrutiny.doubt(text, self._speech_s)
        else:
            is_better, left = scrutiny.settle(doubt, first.text, text, self._speech_s)
        if not is_better:
            return first, left
        if is_cut_short:
            left = Suspicion.TRUNCATED
        segments = tuple(_within(s.shifted(at_s), audio.duration_s) for part, at_s in again for s in part.segments)
        language = next((part.language for part, _ in again if part.language), None)
        return Transcript(text=text, language=language, duration_s=audio.duration_s, segments=segments), left

    @property
    def _speech_s(self) -> float:
        """At most: where nothing was judged, all of the segment may be speech."""
        return self.segment.audio.duration_s if self.segment.speech_s is None else self.segment.speech_s

    async def close(self) -> None:
        """Withdraws what the engine has not done yet."""
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})
        if not self._task.cancelled() and (error := self._task.exception()) and not isinstance(error, ServiceError):
            raise error


def _within(segment: Segment, duration_s: float) -> Segment:
    edges = {"start_s": max(0.0, segment.start_s), "end_s": min(duration_s, segment.end_s)}
    return segment.model_copy(update=edges)


def otherwise(audio: WavAudio) -> list[SpeechSegment]:
    """The audio in another form, on which an engine that failed rarely fails in the same way: in two pieces, cut at the
    quietest point of its middle third; what is too short for that, within more silence."""
    if audio.duration_s < _SHORTEST_TO_CUT_S:
        silence = bytes(int(_SILENCE_S * BYTES_PER_SECOND))
        within = WavAudio(b"".join((silence, audio.pcm, silence)))
        return [SpeechSegment(-_SILENCE_S, audio.duration_s + _SILENCE_S, within)]
    segmenter = Segmenter(longest_s=audio.duration_s * 2 / 3, search_s=audio.duration_s / 3)
    return [*segmenter.feed(audio.pcm), *segmenter.finish()]
