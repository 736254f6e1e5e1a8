"""The transcription of one segment: it starts at once, and is repeated if the text looks incomplete."""

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
"""A segment that ends later than this, in seconds from the start of the source, is queued as part of a long recording,
and short segments overtake it. The first segment of a long recording is longer than this, so the rule applies to all of
its segments."""
_MIN_TO_CUT_S = 6.0
_SILENCE_S = 0.25

log = logging.getLogger("rapl")


@dataclass(frozen=True, slots=True)
class EngineCall:
    """The engine of one request, and the request's options."""

    client: FallbackClient
    options: TranscribeOptions
    request_id: str
    settings: Settings

    async def transcribe(self, audio: WavAudio, options: TranscribeOptions | None = None) -> Transcript:
        """Returns the transcript of the audio. Raises: ServiceError."""
        return await self.client.transcribe(
            audio,
            options or self.options,
            deadline_s=self.settings.deadline_s(audio.duration_s),
            request_id=self.request_id,
        )

    def stream(self, audio: WavAudio, options: TranscribeOptions) -> AsyncGenerator[str | Transcript, None]:
        """Yields the words as they are decoded, if the engine streams, then the transcript.

        Raises:
            ServiceError: can also be raised after some words.
        """
        deadline_s = self.settings.deadline_s(audio.duration_s)
        return self.client.stream(audio, options, deadline_s=deadline_s, request_id=self.request_id)


class SegmentTask:
    """The transcription of one segment. It starts when the object is created.

    Args:
        engine: the engine that transcribes the segment.
        segment: the audio, and its position in the source.
        is_streamed: whether `next` returns words as they are decoded.
    """

    def __init__(self, engine: EngineCall, segment: SpeechSegment, *, is_streamed: bool = False) -> None:
        self.segment = segment
        self._engine = engine
        self._options = engine.options
        if segment.end_s > INTERACTIVE_S:
            self._options = engine.options.model_copy(update={"is_long": True})
        self._words: asyncio.Queue[str | None] | None = asyncio.Queue() if is_streamed else None
        self._task = asyncio.create_task(
            engine.transcribe(segment.audio, self._options) if self._words is None else self._stream(self._words)
        )

    async def _stream(self, words: asyncio.Queue[str | None]) -> Transcript:
        """Queues the words as they arrive and returns the transcript. An engine's stream ends with it or an error."""
        transcript: Transcript | None = None
        try:
            async with aclosing(self._engine.stream(self.segment.audio, self._options)) as texts:
                async for text in texts:
                    if isinstance(text, Transcript):
                        transcript = text
                    else:
                        words.put_nowait(text)
        finally:
            words.put_nowait(None)
        assert transcript
        return transcript

    async def next(self) -> str | Transcript:
        """Returns the next words, if they are streamed, and at the end the transcript.

        Raises:
            ServiceError: the engine's error.
        """
        if self._words is not None and (text := await self._words.get()) is not None:
            return text
        return await self._task

    def set_speech_s(self, speech_s: float | None) -> None:
        """Sets the seconds of speech in a segment that was sent before speech detection had ended."""
        if speech_s is not None:
            self.segment = replace(self.segment, speech_s=speech_s)

    async def checked(
        self, first: Transcript, checks: TranscriptChecks, *, is_sent: bool
    ) -> tuple[Transcript, Suspicion | None]:
        """Returns the transcript to keep, and the suspicion that remains about it.

        Args:
            first: the engine's transcript of the segment.
            checks: the checks of this recording. A segment without a remaining suspicion is added to them.
            is_sent: whether words of the segment have already been streamed. Such words cannot be changed.
        """
        suspicion = Suspicion.TRUNCATED if first.is_truncated else checks.suspicion(first.text, self._speech_s)
        if suspicion is Suspicion.NO_TEXT and self.segment.speech_s is None:
            suspicion = None  # without speech detection it may be silence
        part = first
        if suspicion and not is_sent:
            part, suspicion = await self._retranscribed(first, suspicion, checks)
        if not suspicion:
            checks.accept(part.text, self._speech_s)
        return part, suspicion

    async def _retranscribed(
        self, first: Transcript, suspicion: Suspicion, checks: TranscriptChecks
    ) -> tuple[Transcript, Suspicion | None]:
        """Cuts the segment differently and transcribes it again. Returns the better transcript and the suspicion that
        remains."""
        log.warning(
            "request_id=%s at_s=%.1f doubt=%r: retry with the audio cut differently",
            self._engine.request_id, self.segment.start_s, suspicion.value,
        )  # fmt: skip
        audio = self.segment.audio
        again = [(await self._engine.transcribe(piece.audio, self._options), piece.start_s) for piece in recut(audio)]
        text = join_texts(part.text for part, _ in again)
        is_truncated = any(part.is_truncated for part, _ in again)
        if suspicion is Suspicion.TRUNCATED and not is_truncated:
            is_better, remaining = True, checks.suspicion(text, self._speech_s)
        else:
            is_better, remaining = checks.compare(suspicion, first.text, text, self._speech_s)
        if not is_better:
            return first, remaining
        if is_truncated:
            remaining = Suspicion.TRUNCATED
        segments = tuple(_within(s.shifted(at_s), audio.duration_s) for part, at_s in again for s in part.segments)
        language = next((part.language for part, _ in again if part.language), None)
        return Transcript(text=text, language=language, duration_s=audio.duration_s, segments=segments), remaining

    @property
    def _speech_s(self) -> float:
        """Seconds of speech in the segment. Without speech detection, the whole segment may be speech."""
        return self.segment.audio.duration_s if self.segment.speech_s is None else self.segment.speech_s

    async def close(self) -> None:
        """Cancels the transcription if it is not finished."""
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})
        if not self._task.cancelled() and (error := self._task.exception()) and not isinstance(error, ServiceError):
            raise error


def _within(segment: Segment, duration_s: float) -> Segment:
    edges = {"start_s": max(0.0, segment.start_s), "end_s": min(duration_s, segment.end_s)}
    return segment.model_copy(update=edges)


def recut(audio: WavAudio) -> list[SpeechSegment]:
    """Returns the same audio cut differently, so that an engine rarely fails in the same way.

    The audio is cut into two parts at the quietest point of its middle third. Audio shorter than 6 s is not cut: it
    gets 0.25 s of silence before and after it.
    """
    if audio.duration_s < _MIN_TO_CUT_S:
        silence = bytes(int(_SILENCE_S * BYTES_PER_SECOND))
        padded = WavAudio(b"".join((silence, audio.pcm, silence)))
        return [SpeechSegment(-_SILENCE_S, audio.duration_s + _SILENCE_S, padded)]
    segmenter = Segmenter(longest_s=audio.duration_s * 2 / 3, search_s=audio.duration_s / 3)
    return [*segmenter.feed(audio.pcm), *segmenter.finish()]
