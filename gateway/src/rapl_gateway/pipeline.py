"""From an upload to its transcript: prepare, transcribe segment by segment, and put the parts together."""

import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

from rapl_protocol.audio import WavAudio
from rapl_protocol.client import PreprocessClient
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.prepared import MAX_SEGMENT_S, PreparedEvent, PrepareEnd, SpeechSegment
from rapl_protocol.segmentation import Segmenter
from rapl_protocol.transcript import Segment, TranscribeOptions, Transcript, join_texts

from rapl_gateway.backends import Backend
from rapl_gateway.settings import Settings
from rapl_gateway.timing import Stopwatch

PREPARE_IDLE_S = 60.0
"""How long preprocess-service may take for one more segment; decoding 30 s of audio takes well under one second."""
_FEED_BYTES = 1 << 16

log = logging.getLogger("rapl")


class Pipeline:
    """Turns media into a transcript, holding one segment at a time."""

    def __init__(self, preprocess: PreprocessClient, settings: Settings) -> None:
        self._preprocess = preprocess
        self._settings = settings

    async def transcribe(
        self,
        media: bytes | memoryview,
        options: TranscribeOptions,
        backend: Backend,
        stopwatch: Stopwatch,
        request_id: str,
    ) -> Transcript:
        """Raises: ServiceError; a segment that fails fails the whole, so that no text is missing in silence."""
        parts: list[Transcript] = []
        segments: list[Segment] = []
        duration_s = 0.0
        async with aclosing(self._prepared(media, request_id)) as events:
            while True:
                with stopwatch.stage("prepare"):
                    event = await anext(events, None)
                if event is None:
                    break
                if isinstance(event, SpeechSegment):
                    deadline_s = self._settings.deadline_s(event.audio.duration_s)
                    with stopwatch.stage("infer"):
                        part = await backend.client.transcribe(
                            event.audio, options, deadline_s=deadline_s, request_id=request_id
                        )
                    parts.append(part)
                    segments += [segment.shifted(event.start_s) for segment in part.segments]
                elif isinstance(event, PrepareEnd):
                    duration_s = event.duration_s
        return Transcript(
            text=join_texts(part.text for part in parts),
            language=_common_language(parts),
            duration_s=duration_s,
            segments=tuple(segments),
        )

    async def _prepared(self, media: bytes | memoryview, request_id: str) -> AsyncGenerator[PreparedEvent, None]:
        """What preprocess-service makes of the media; a canonical WAV does not need it."""
        canonical = _canonical(media)
        if canonical and canonical.duration_s <= MAX_SEGMENT_S:
            for event in _cut(canonical):
                yield event
            return
        began = False
        try:
            async with aclosing(
                self._preprocess.prepare(media, idle_s=PREPARE_IDLE_S, request_id=request_id)
            ) as events:
                async for event in events:
                    began = True
                    yield event
        except ServiceError as error:
            if began or canonical is None or error.code is not ErrorCode.BACKEND_UNAVAILABLE:
                raise
            log.warning("request_id=%s preprocess-service is away: cutting a canonical WAV here", request_id)
            for event in _cut(canonical):
                yield event


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


def _common_language(parts: list[Transcript]) -> str | None:
    """The language of most of the audio; None where no part has one."""
    seconds: dict[str, float] = {}
    for part in parts:
        if part.language:
            seconds[part.language] = seconds.get(part.language, 0.0) + part.duration_s
    return max(seconds, key=seconds.__getitem__, default=None)
