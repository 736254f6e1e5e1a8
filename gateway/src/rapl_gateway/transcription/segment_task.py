"""The transcription of one segment: it starts at once, and is repeated if the text looks incomplete."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace

from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ServiceError
from rapl_protocol.intervals import Intervals
from rapl_protocol.prepared import SpeechSegment
from rapl_protocol.transcript import TranscribeOptions, Transcript

from rapl_gateway.backends.fallback import FallbackClient
from rapl_gateway.settings import Settings
from rapl_gateway.transcription.checks.transcript_checks import Judged, TranscriptChecks, better
from rapl_gateway.transcription.checks.usable import has_words, usable
from rapl_gateway.transcription.recut import MIN_TO_CUT_S, recut

INTERACTIVE_S = 25.0
"""A segment that ends later than this, in seconds from the start of the source, is queued as part of a long recording,
and short segments overtake it. The first segment of a long recording is longer than this, so the rule applies to all of
its segments."""
_CUTS = 3
"""How many times a doubted segment is cut: the whole with other edges, halves, and quarters."""

log = logging.getLogger("rapl")


@dataclass(frozen=True, slots=True)
class EngineCall:
    """The engine of one request, and the request's options."""

    client: FallbackClient
    options: TranscribeOptions
    request_id: str
    settings: Settings
    interactive_s: float = INTERACTIVE_S
    """A segment that ends later than this is queued as part of a long recording."""

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
        known: the engine's transcript of the segment, if it is known already.
    """

    def __init__(
        self,
        engine: EngineCall,
        segment: SpeechSegment,
        *,
        is_streamed: bool = False,
        known: Transcript | None = None,
    ) -> None:
        self.segment = segment
        self._engine = engine
        self._options = engine.options
        if segment.end_s > engine.interactive_s:
            self._options = engine.options.model_copy(update={"is_long": True})
        self._kept: Judged | None = None
        self._words: asyncio.Queue[str | None] | None = asyncio.Queue() if is_streamed and not known else None
        self._task = asyncio.create_task(self._first(known))

    async def _first(self, known: Transcript | None) -> Transcript:
        if known:
            return known
        if self._words is None:
            return await self._engine.transcribe(self.segment.audio, self._options)
        return await self._stream(self._words)

    async def _stream(self, words: asyncio.Queue[str | None]) -> Transcript:
        """Queues the words as they arrive and returns the transcript. An engine's stream ends with it or an error.
        Punctuation waits for the first word, because without one it is no text."""
        transcript: Transcript | None = None
        waiting, has_begun = "", False
        try:
            async with aclosing(self._engine.stream(self.segment.audio, self._options)) as texts:
                async for text in texts:
                    if isinstance(text, Transcript):
                        transcript = text
                    elif has_begun or has_words(text):
                        words.put_nowait(waiting + text)
                        waiting, has_begun = "", True
                    else:
                        waiting += text
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

    def set_speech(self, speech: Intervals | None) -> None:
        """Sets the speech of a segment that was sent before speech detection had ended."""
        if speech is not None:
            self.segment = replace(self.segment, speech=speech)

    async def judged(self, first: Transcript, checks: TranscriptChecks, *, is_sent: bool) -> Judged:
        """Returns the transcript to keep, and the doubts that remain about it.

        Args:
            first: the engine's transcript of the segment.
            checks: the checks of this recording. The transcript that is kept is added to them.
            is_sent: whether words of the segment have already been streamed. Such words cannot be changed.
        """
        judged = checks.judge(first if is_sent else usable(first), self.segment)
        if judged.judgement.flags and not is_sent:
            judged = await self._retranscribed(judged, checks)
        checks.accept(judged, self.segment)
        self._kept = judged
        return judged

    async def judged_again(self, checks: TranscriptChecks, *, can_change: bool) -> Judged | None:
        """Judges a kept transcript again by the speech rate of the recording, which is known now.

        Args:
            checks: the checks of this recording.
            can_change: whether a doubted segment is transcribed again.

        Returns:
            The transcript to keep; None if there is no new doubt.
        """
        assert self._kept
        judged = checks.judge_by_rate(self._kept, self.segment)
        if judged is self._kept:
            return None
        return await self._retranscribed(judged, checks) if can_change else judged

    async def _retranscribed(self, first: Judged, checks: TranscriptChecks) -> Judged:
        """Cuts a doubted segment differently and transcribes it again. Returns the better transcript."""
        log.warning(
            "request_id=%s at_s=%.1f flag=%r: retry with the audio cut differently",
            self._engine.request_id, self.segment.start_s, first.judgement.flags[0].suspicion.value,
        )  # fmt: skip
        kept = await self._better(first, self.segment, checks, cuts_left=_CUTS)
        return replace(kept, retried=(*first.retried, *first.judgement.flags))

    async def _better(
        self, first: Judged, segment: SpeechSegment, checks: TranscriptChecks, *, cuts_left: int
    ) -> Judged:
        cut = recut(segment, first, is_first=cuts_left == _CUTS)
        again: list[Transcript] = []
        for piece in cut.pieces:
            part = checks.judge(await self._transcribe(piece.audio), piece)
            if part.judgement.flags and cuts_left > 1 and piece.audio.duration_s >= MIN_TO_CUT_S:
                part = await self._better(part, piece, checks, cuts_left=cuts_left - 1)
            again.append(part.transcript)
        return better(first, checks.judge(cut.joined(again, segment.audio.duration_s), segment))

    async def _transcribe(self, audio: WavAudio) -> Transcript:
        """Transcribes a piece of the segment. A draft is of the whole segment."""
        return usable(await self._engine.transcribe(audio, self._options.model_copy(update={"draft": None})))

    async def close(self) -> None:
        """Cancels the transcription if it is not finished."""
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})
        if not self._task.cancelled() and (error := self._task.exception()) and not isinstance(error, ServiceError):
            raise error
