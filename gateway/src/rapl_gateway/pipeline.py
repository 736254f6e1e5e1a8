"""From media to text: prepare, transcribe segment by segment, and put the parts together."""

import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, closing
from dataclasses import dataclass, field
from typing import Any

from rapl_protocol.audio import WavAudio
from rapl_protocol.client import PreprocessClient
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.prepared import PreparedEvent, PrepareEnd, PrepareOptions, SourceInfo, SpeechSegment
from rapl_protocol.segmentation import Segmenter
from rapl_protocol.transcript import TranscribeOptions, Transcript, join_texts

from rapl_gateway.assembly import Assembly
from rapl_gateway.progress import ProgressDisplay
from rapl_gateway.scrutiny import Doubt, Scrutiny
from rapl_gateway.seats import Seat
from rapl_gateway.settings import Settings
from rapl_gateway.timing import Stopwatch

PREPARE_IDLE_S = 60.0
"""How long preprocess-service may take for one more segment; decoding 30 s of audio takes well under one second."""
INTERACTIVE_S = 25.0
"""A segment that ends later is long, or part of something long: the first one of a long file is longer than this."""
_FEED_BYTES = 1 << 16

log = logging.getLogger("rapl")


@dataclass(frozen=True, slots=True)
class Job:
    """One request's work, and what has come of it so far."""

    media: bytes | memoryview
    prepare: PrepareOptions
    options: TranscribeOptions
    backend: Seat
    request_id: str
    stopwatch: Stopwatch
    is_streamed: bool = False
    """Whether the text is wanted word by word, from engines that have it so."""
    result: Assembly = field(default_factory=Assembly)
    scrutiny: Scrutiny = field(default_factory=Scrutiny)


class Pipeline:
    """Holds one segment of a job at a time."""

    def __init__(self, preprocess: PreprocessClient, settings: Settings) -> None:
        self._preprocess = preprocess
        self._settings = settings

    async def texts(self, job: Job) -> AsyncGenerator[str, None]:
        """Does the job, and yields how its text grows, segment by segment; at the end `job.result` is whole.

        Raises:
            ServiceError: also in the middle. A segment that fails fails the whole: no text is missing in silence.
        """
        progress = ProgressDisplay(job.request_id)
        async with aclosing(self._prepared(job)) as events:
            with closing(progress):
                while True:
                    with job.stopwatch.stage("prepare"):
                        event = await anext(events, None)
                    match event:
                        case SourceInfo():
                            job.result.announced_s = event.duration_s
                        case SpeechSegment():
                            async with aclosing(self._transcribe(job, event)) as texts:
                                async for text in texts:
                                    yield text
                            progress.show(job.result.done_s, job.result.announced_s)
                        case PrepareEnd():
                            job.result.end(event)
                        case None:
                            return

    async def _transcribe(self, job: Job, segment: SpeechSegment) -> AsyncGenerator[str, None]:
        """Yields how the text grows: by the segment's words as they come, or by all of them at once."""
        options = job.options.model_copy(update={"is_long": segment.end_s > INTERACTIVE_S})
        part = None
        if job.is_streamed:
            limits = self._limits(job, segment.audio)
            async with aclosing(job.backend.client.stream(segment.audio, options, **limits)) as texts:
                async for text in texts:
                    if isinstance(text, str):
                        yield job.result.add_text(text)
                    else:
                        part = text
        if part is None:
            part = await self._ask(job, segment.audio, options)
        doubt = job.scrutiny.doubt(part.text, _speech_s(segment))
        if doubt is Doubt.NO_TEXT and segment.speech_s is None:
            doubt = None  # nobody says that there was speech
        if doubt and not job.result.partial:  # words that were told cannot be taken back
            part, doubt = await self._look_again(job, segment, options, part, doubt)
        if not doubt:
            job.scrutiny.accept(part.text, _speech_s(segment))
        yield job.result.add(part, segment, doubt)

    async def _ask(self, job: Job, audio: WavAudio, options: TranscribeOptions) -> Transcript:
        with job.stopwatch.stage("infer"):
            return await job.backend.client.transcribe(audio, options, **self._limits(job, audio))

    async def _look_again(
        self, job: Job, segment: SpeechSegment, options: TranscribeOptions, first: Transcript, doubt: Doubt
    ) -> tuple[Transcript, Doubt | None]:
        """Transcribes the halves of a segment whose text is in doubt: an engine that fails on a long piece rarely
        fails on both. Gives the better text, and the doubt if it is still there."""
        log.warning("request_id=%s at_s=%.1f doubt=%r: looking again", job.request_id, segment.start_s, doubt.value)
        again = [(await self._ask(job, half.audio, options), half.start_s) for half in halves(segment.audio)]
        text = join_texts(part.text for part, _ in again)
        is_better, left = job.scrutiny.settle(doubt, first.text, text, _speech_s(segment))
        if not is_better:
            return first, left
        segments = tuple(s.shifted(start_s) for part, start_s in again for s in part.segments)
        language = next((part.language for part, _ in again if part.language), None)
        duration_s = segment.audio.duration_s
        return Transcript(text=text, language=language, duration_s=duration_s, segments=segments), left

    def _limits(self, job: Job, audio: WavAudio) -> dict[str, Any]:
        return {"deadline_s": self._settings.deadline_s(audio.duration_s), "request_id": job.request_id}

    async def _prepared(self, job: Job) -> AsyncGenerator[PreparedEvent, None]:
        """What preprocess-service makes of the media. Without it, a canonical WAV is cut here, speech or not."""
        prepared = self._preprocess.prepare(
            job.media, options=job.prepare, idle_s=PREPARE_IDLE_S, request_id=job.request_id
        )
        began = False
        try:
            async with aclosing(prepared) as events:
                async for event in events:
                    began = True
                    yield event
        except ServiceError as error:
            if began or error.code is not ErrorCode.BACKEND_UNAVAILABLE:
                raise
            canonical = _canonical(job.media)
            if canonical is None:
                raise
            log.warning("request_id=%s preprocess-service is away: cutting a canonical WAV here", job.request_id)
            for event in _cut(canonical):
                yield event


def _speech_s(segment: SpeechSegment) -> float:
    """At most: where nothing was judged, all of the segment may be speech."""
    return segment.audio.duration_s if segment.speech_s is None else segment.speech_s


def halves(audio: WavAudio) -> list[SpeechSegment]:
    """The audio in two pieces, cut at the quietest point of its middle third."""
    segmenter = Segmenter(longest_s=audio.duration_s * 2 / 3, search_s=audio.duration_s / 3)
    return [*segmenter.feed(audio.pcm), *segmenter.finish()]


def _canonical(media: bytes | memoryview) -> WavAudio | None:
    try:
        return WavAudio.from_wav(media)
    except ValueError:
        return None


def _cut(audio: WavAudio) -> Iterator[PreparedEvent]:
    segmenter = Segmenter()
    pcm = memoryview(audio.pcm)
    for at in range(0, len(pcm), _FEED_BYTES):
        yield from segmenter.feed(pcm[at : at + _FEED_BYTES])
    yield from segmenter.finish()
    yield PrepareEnd(duration_s=audio.duration_s)
