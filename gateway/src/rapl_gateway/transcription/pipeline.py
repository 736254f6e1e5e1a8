"""From media to text: prepare, transcribe segment by segment, and put the parts together."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, closing
from dataclasses import dataclass, field
from functools import partial

from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.prepared import MAX_SEGMENT_S, PrepareEnd, PrepareOptions, SourceInfo, SpeechCheck, SpeechSegment
from rapl_protocol.transcript import TranscribeOptions, Transcript
from rapl_service.calls.clients import PreprocessClient

from rapl_gateway.backends.fallback import LoadReservation
from rapl_gateway.settings import Settings
from rapl_gateway.timing import Stopwatch
from rapl_gateway.transcription.checks import TranscriptChecks
from rapl_gateway.transcription.prefetch import SegmentPrefetcher
from rapl_gateway.transcription.progress import ProgressDisplay
from rapl_gateway.transcription.result import TranscriptBuilder
from rapl_gateway.transcription.segment_task import EngineCall, SegmentTask
from rapl_gateway.transcription.segments import PREPARE_IDLE_S, SPEECH_CHECK_S, canonical_wav, has_pauses, prepared

log = logging.getLogger("rapl")

SpeechVerdict = Callable[[], Awaitable[WavAudio | SpeechCheck]]
"""Requests the speech check of a clip."""
_CLIP_BYTES = 2 << 20
"""A larger file is hardly a clip, unless it is not compressed: and it would keep the event loop from others."""


@dataclass(frozen=True, slots=True)
class Job:
    """One request's work, and what has come of it so far."""

    media: bytes | memoryview
    prepare: PrepareOptions
    options: TranscribeOptions
    backend: LoadReservation
    request_id: str
    stopwatch: Stopwatch
    is_streamed: bool = False
    """Whether the text is wanted word by word, from engines that have it so."""
    is_model_ready: bool = True
    result: TranscriptBuilder = field(default_factory=TranscriptBuilder)
    scrutiny: TranscriptChecks = field(default_factory=TranscriptChecks)


class Pipeline:
    """Holds as many segments of a job as its backend works on at once, and one more."""

    def __init__(self, preprocess: PreprocessClient, settings: Settings) -> None:
        self._preprocess = preprocess
        self._settings = settings

    def texts(self, job: Job) -> AsyncGenerator[str, None]:
        """Does the job, and yields how its text grows, segment by segment; at the end `job.result` is whole.

        Raises:
            ServiceError: also in the middle. A segment that fails fails the whole: no text is missing in silence.
        """
        clip = canonical_wav(job.media)
        if clip and clip.duration_s <= MAX_SEGMENT_S:
            speech = partial(
                self._preprocess.speech, clip, job.prepare, deadline_s=SPEECH_CHECK_S, request_id=job.request_id
            )
            return self._clip(job, clip, speech)
        if clip or len(job.media) > _CLIP_BYTES:
            return self._recording(job)
        return self._small_file(job)

    async def _small_file(self, job: Job) -> AsyncGenerator[str, None]:
        """What is decoded first, and then a clip like any other; what turns out to be longer is a recording."""
        parts = self._preprocess.clip(
            job.media,
            job.prepare,
            deadline_s=PREPARE_IDLE_S,
            check_deadline_s=SPEECH_CHECK_S,
            request_id=job.request_id,
        )
        async with aclosing(parts):
            with job.stopwatch.stage("prepare"):
                clip = await _decoded(parts)
            texts = self._clip(job, clip, partial(anext, parts)) if clip else self._recording(job)
            async with aclosing(texts):
                async for text in texts:
                    yield text

    async def _clip(self, job: Job, audio: WavAudio, check: SpeechVerdict) -> AsyncGenerator[str, None]:
        """It goes to its engine at once, while preprocess-service checks whether it holds speech. If it
        does not, the engine's work is withdrawn, and its text is never told."""
        job.result.announced_s = audio.duration_s
        clip = SpeechSegment(0.0, audio.duration_s, audio)
        hearing = self._hear(job, clip) if _is_likely_speech(job, audio) else None
        try:
            with job.stopwatch.stage("prepare"):
                speech_s = await self._speech_s(job, check)
            if speech_s != 0.0:
                hearing = hearing or self._hear(job, clip)
                hearing.judge(speech_s)
                async for text in self._tell(job, hearing):
                    yield text
        finally:
            if hearing:
                await hearing.close()
        job.result.end(PrepareEnd(duration_s=audio.duration_s, speech_s=speech_s))

    async def _speech_s(self, job: Job, check: SpeechVerdict) -> float | None:
        """How much speech there is in a clip; None where nobody can say."""
        if job.prepare.speech_detection == "off":
            return None
        await asyncio.sleep(0)  # so that the engine has it before anybody is asked
        try:
            verdict = await check()
        except ServiceError as error:
            if error.code not in (ErrorCode.BACKEND_UNAVAILABLE, ErrorCode.BACKEND_TIMEOUT):
                raise
            log.warning("request_id=%s cannot tell whether it is speech: %s", job.request_id, error.message)
            return None
        if isinstance(verdict, SpeechCheck):
            return verdict.speech_s if verdict.has_speech else 0.0
        return None

    async def _recording(self, job: Job) -> AsyncGenerator[str, None]:
        """Segments are prepared and transcribed while those before them are told."""
        events = prepared(self._preprocess, job.media, job.prepare, job.request_id)
        ahead = SegmentPrefetcher(events, partial(self._hear, job), job.backend.width + 1)
        async with AsyncExitStack() as under_way:
            under_way.push_async_callback(ahead.close)
            progress = under_way.enter_context(closing(ProgressDisplay(job.request_id)))
            while True:
                with job.stopwatch.stage("prepare"):
                    event = await ahead.next()
                match event:
                    case SourceInfo():
                        job.result.announced_s = event.duration_s
                    case SegmentTask():
                        async for text in self._tell(job, event):
                            yield text
                        await ahead.done(event)
                        progress.show(job.result.done_s, job.result.announced_s)
                    case PrepareEnd():
                        job.result.end(event)
                    case None:
                        return

    async def _tell(self, job: Job, hearing: SegmentTask) -> AsyncGenerator[str, None]:
        """Yields how the text grows by a segment: by its words as they come, or by all of them at once."""
        while True:
            with job.stopwatch.stage("infer"):
                told = await hearing.next()
            if isinstance(told, Transcript):
                break
            yield job.result.add_text(told)
        with job.stopwatch.stage("infer"):
            part, doubt = await hearing.settled(told, job.scrutiny, is_told=bool(job.result.partial))
        yield job.result.add(part, hearing.segment, doubt)

    def _hear(self, job: Job, segment: SpeechSegment) -> SegmentTask:
        engine = EngineCall(job.backend.client, job.options, job.request_id, self._settings)
        return SegmentTask(engine, segment, is_streamed=job.is_streamed)


async def _decoded(parts: AsyncGenerator[WavAudio | SpeechCheck, None]) -> WavAudio | None:
    """The audio of a small file; None if it is too long for a clip, or if preprocess-service is unavailable: then the
    file is transcribed as a recording, which waits for it."""
    try:
        audio = await anext(parts)
    except ServiceError as error:
        if error.code not in (ErrorCode.AUDIO_TOO_LARGE, ErrorCode.BACKEND_UNAVAILABLE):
            raise
        return None
    return audio if isinstance(audio, WavAudio) else None


def _is_likely_speech(job: Job, audio: WavAudio) -> bool:
    """Whether a clip goes to its engine before anybody knows that there is speech in it. Not where the engine would
    have to load its model for it, and not what sounds like silence, noise or music: 10 ms later one knows."""
    if job.prepare.speech_detection == "off":
        return True
    return job.is_model_ready and has_pauses(audio)
