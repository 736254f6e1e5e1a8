"""Turns media into text: preprocesses it, transcribes each segment and joins the texts."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, closing
from dataclasses import dataclass, field
from functools import partial

from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ServiceError
from rapl_protocol.intervals import Intervals, total_s
from rapl_protocol.prepared import (
    MAX_SEGMENT_S,
    NOTHING_TO_REPORT,
    MediaReport,
    PrepareEnd,
    PrepareOptions,
    SourceInfo,
    SpeechCheck,
    SpeechSegment,
)
from rapl_protocol.transcript import TranscribeOptions, Transcript
from rapl_service.calls.clients import DecodedClip, PreprocessClient

from rapl_gateway.backends.fallback import LoadReservation
from rapl_gateway.backends.retry import policy
from rapl_gateway.settings import Settings
from rapl_gateway.speakers.assignment import Speakers
from rapl_gateway.speakers.known import SpeakerRequest, references_of
from rapl_gateway.speakers.prepared_speech import Events, cut_where_speakers_change
from rapl_gateway.speakers.running import all_turns, turns_of_either
from rapl_gateway.speakers.service import SpeakerService
from rapl_gateway.speakers.timeline import SpeakerTimeline
from rapl_gateway.timing import Stage, Stopwatch
from rapl_gateway.transcription.checks.transcript_checks import TranscriptChecks
from rapl_gateway.transcription.early import EarlySegments
from rapl_gateway.transcription.prefetch import SegmentPrefetcher
from rapl_gateway.transcription.progress import ProgressDisplay
from rapl_gateway.transcription.result import TranscriptBuilder
from rapl_gateway.transcription.segment_task import INTERACTIVE_S, EngineCall, SegmentTask
from rapl_gateway.transcription.segments import (
    PREPARE_IDLE_S,
    SPEECH_CHECK_S,
    canonical_wav,
    has_pauses,
    prepared_events,
)

log = logging.getLogger("rapl")

RequestSpeechCheck = Callable[[], Awaitable[SpeechCheck]]
_MAX_CLIP_BYTES = 2 << 20
"""A larger file is treated as a recording. Only uncompressed clips of 30 s are larger, and sending a larger file in one
piece would block the event loop."""


@dataclass(frozen=True, slots=True)
class Job:
    """One request, and its result so far."""

    media: bytes | memoryview
    prepare: PrepareOptions
    options: TranscribeOptions
    reservation: LoadReservation
    request_id: str
    stopwatch: Stopwatch
    is_streamed: bool = False
    """Whether words are sent to the client as they are decoded, if the engine streams."""
    is_model_ready: bool = True
    interactive_s: float = INTERACTIVE_S
    """As in `EngineCall`."""
    known: Transcript | None = None
    """The engine's transcript of a clip, if it is known already. It is judged like any other."""
    speakers: SpeakerRequest | None = None
    """None if the request does not ask for speakers."""
    result: TranscriptBuilder = field(default_factory=TranscriptBuilder)
    checks: TranscriptChecks = field(default_factory=TranscriptChecks)


class Pipeline:
    """Transcribes jobs. It keeps one more segment of a job in progress than the job's backend works on at once."""

    def __init__(
        self, preprocess: PreprocessClient, settings: Settings, speakers: SpeakerService | None = None
    ) -> None:
        self._preprocess = preprocess
        self._settings = settings
        self._speakers = speakers
        self.fallbacks: Counter[str] = Counter(no_speech_check=0, cut_by_gateway=0)
        """How often a request was served without preprocess-service, by kind."""

    def texts(self, job: Job) -> AsyncGenerator[str, None]:
        """Yields the text that each segment adds. At the end `job.result` is complete.

        Raises:
            ServiceError: can also be raised after some texts. If one segment fails, the whole job fails, so that no
                text is missing without an error.
        """
        if job.speakers:
            return self._with_speakers(job, job.speakers)
        is_other_track = bool(job.prepare.audio_track)  # a WAV has only track 0, and preprocess-service says so
        clip = None if is_other_track else canonical_wav(job.media)
        if clip and clip.duration_s <= MAX_SEGMENT_S:
            check = partial(
                self._preprocess.speech, clip, job.prepare, deadline_s=SPEECH_CHECK_S, request_id=job.request_id
            )
            return self._clip(job, clip, NOTHING_TO_REPORT, check)
        if clip or len(job.media) > _MAX_CLIP_BYTES:
            return self._recording(job, self._events(job))
        return self._small_file(job)

    async def _small_file(self, job: Job) -> AsyncGenerator[str, None]:
        """Decodes the file. Up to 30 s of audio is transcribed as a clip, more as a recording."""
        async with AsyncExitStack() as stack:
            with job.stopwatch.stage(Stage.PREPARE):
                clip = await self._decoded(job, stack)
            if clip:
                check = partial(clip.speech_check, deadline_s=SPEECH_CHECK_S)
                texts = self._clip(job, clip.audio, clip.media, check)
            else:
                texts = self._recording(job, self._events(job))
            async with aclosing(texts):
                async for text in texts:
                    yield text

    async def _decoded(self, job: Job, stack: AsyncExitStack) -> DecodedClip | None:
        """Returns the decoded clip. None if the audio is longer than a clip, or if preprocess-service cannot be
        reached: the file is then transcribed as a recording, which waits for the service."""
        clip = self._preprocess.clip(job.media, job.prepare, deadline_s=PREPARE_IDLE_S, request_id=job.request_id)
        try:
            return await stack.enter_async_context(clip)
        except ServiceError as error:
            if not policy(error).is_prepared_as_recording:
                raise
        return None

    async def _clip(
        self, job: Job, audio: WavAudio, media: MediaReport, check: RequestSpeechCheck
    ) -> AsyncGenerator[str, None]:
        """Transcribes a clip. The engine gets it at once, while preprocess-service checks it for speech. If there is no
        speech, the engine's work is cancelled and its text is not used."""
        job.result.announced_s = audio.duration_s
        clip = SpeechSegment(0.0, audio.duration_s, audio)
        task = self._start(job, clip, job.known) if _is_likely_speech(job, audio) else None
        try:
            with job.stopwatch.stage(Stage.PREPARE):
                speech = await self._speech(job, check)
            if speech != ():
                task = task or self._start(job, clip, job.known)
                task.set_speech(speech)
                async for text in self._segment_texts(job, task):
                    yield text
        finally:
            if task:
                await task.close()
        speech_s = None if speech is None else total_s(speech)
        job.result.end(PrepareEnd(duration_s=audio.duration_s, speech_s=speech_s, media=media))

    async def _speech(self, job: Job, check: RequestSpeechCheck) -> Intervals | None:
        """Returns the speech in a clip; None if it is unknown."""
        if job.prepare.speech_detection == "off":
            return None
        await asyncio.sleep(0)  # so that the engine's request is written first
        try:
            found = await check()
        except ServiceError as error:
            if not policy(error).skips_speech_check:
                raise
            self.fallbacks["no_speech_check"] += 1
            log.warning("request_id=%s fallback: no speech detection: %s", job.request_id, error.message)
            return None
        return found.speech

    async def _with_speakers(self, job: Job, wanted: SpeakerRequest) -> AsyncGenerator[str, None]:
        """Transcribes the media as a recording, and finds its speakers: at the same time if the engine gives the times
        of words, otherwise first, because the audio is then cut where the speaker changes."""
        assert self._speakers, "a request for speakers is refused if there is no speaker-service"
        with job.stopwatch.stage(Stage.PREPARE):
            references = await references_of(wanted.known, self._preprocess, job.request_id)
        start = partial(self._speakers.diarization, references, wanted.count, job.request_id)
        all_of_it = partial(all_turns, start, partial(self._events, job))
        if wanted.has_word_times:
            async with start() as diarization:
                async with aclosing(self._recording(job, diarization.fed_by(self._events(job)))) as texts:
                    async for text in texts:
                        yield text
                with job.stopwatch.stage(Stage.SPEAKERS):
                    turns = await turns_of_either(diarization.turns(), all_of_it)
        else:
            with job.stopwatch.stage(Stage.SPEAKERS):
                turns = await turns_of_either(all_of_it(), all_of_it)
            events = cut_where_speakers_change(self._events(job), SpeakerTimeline(turns))
            async with aclosing(self._recording(job, events)) as texts:
                async for text in texts:
                    yield text
        job.result.speakers = Speakers(turns, wanted.names)

    def _events(self, job: Job) -> Events:
        return prepared_events(self._preprocess, job.media, job.prepare, job.request_id, self._count_cut)

    async def _recording(self, job: Job, events: Events) -> AsyncGenerator[str, None]:
        """Transcribes the next segments while the text of the current one is sent."""
        prefetcher = SegmentPrefetcher(events, partial(self._start, job), job.reservation.width + 1)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(prefetcher.close)
            progress = stack.enter_context(closing(ProgressDisplay(job.request_id)))
            early = EarlySegments(job.result, job.checks, can_change=not job.is_streamed)
            while True:
                with job.stopwatch.stage(Stage.PREPARE):
                    event = await prefetcher.next()
                match event:
                    case SourceInfo():
                        job.result.announced_s = event.duration_s
                    case SegmentTask():
                        async for text in self._segment_texts(job, event):
                            yield text
                        await early.add(event)
                        await prefetcher.done(event)
                        progress.show(job.result.done_s, job.result.announced_s)
                    case PrepareEnd():
                        job.result.end(event)
                    case None:
                        return

    def _count_cut(self) -> None:
        self.fallbacks["cut_by_gateway"] += 1

    async def _segment_texts(self, job: Job, task: SegmentTask) -> AsyncGenerator[str, None]:
        """Yields the text that a segment adds: word by word if the engine streams, otherwise all at once."""
        while True:
            text = await task.next()
            if isinstance(text, Transcript):
                break
            yield job.result.add_text(text)
        judged = await task.judged(text, job.checks, is_sent=bool(job.result.partial))
        yield job.result.add(judged, task.segment)

    def _start(self, job: Job, segment: SpeechSegment, known: Transcript | None = None) -> SegmentTask:
        engine = EngineCall(job.reservation.client, job.options, job.request_id, self._settings, job.interactive_s)
        return SegmentTask(engine, segment, is_streamed=job.is_streamed, known=known)

    async def has_speech(self, audio: WavAudio, options: PrepareOptions, request_id: str) -> bool:
        """Returns whether the audio has speech. True if speech detection is off or cannot be reached."""
        if options.speech_detection == "off":
            return True
        try:
            found = await self._preprocess.speech(audio, options, deadline_s=SPEECH_CHECK_S, request_id=request_id)
        except ServiceError as error:
            if not policy(error).skips_speech_check:
                raise
            return True
        return bool(found.speech)


def _is_likely_speech(job: Job, audio: WavAudio) -> bool:
    """Returns whether a clip is sent to its engine before speech detection has ended.

    A clip waits the 10 ms for speech detection if it sounds like silence, noise or music, or if the engine would have
    to load its model.
    """
    if job.prepare.speech_detection == "off":
        return True
    return job.is_model_ready and has_pauses(audio)
