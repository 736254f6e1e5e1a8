"""What becomes of the media before an engine hears them: segments of speech, from preprocess-service or without it."""

import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.prepared import PreparedEvent, PrepareEnd, PrepareOptions
from rapl_protocol.segmentation import Segmenter
from rapl_service.calls.clients import PreprocessClient

PREPARE_IDLE_S = 60.0
"""How long preprocess-service may take for one more segment; decoding 30 s of audio takes well under one second."""
SPEECH_CHECK_S = 1.0
"""How long it may take to tell whether a clip holds speech: ten milliseconds, unless it is very busy. Nobody who
dictates waits longer for that."""
_FEED_BYTES = 1 << 16
_LOOKED_AT = 64
"""One sample of so many says enough of how loud it is: 0.05 ms for 5 s of audio."""
_FRAME = 20
"""Looked-at samples of 80 ms."""
_PAUSE_RATIO = 16
"""24 dB between the loud and the quiet tenth. Measured: dictation with noise 20 dB below it 25 dB, 30 dB below it 35;
white noise 4, a tone 1, chords with drums 18."""

log = logging.getLogger("rapl")


async def prepared(
    preprocess: PreprocessClient, media: bytes | memoryview, options: PrepareOptions, request_id: str
) -> AsyncGenerator[PreparedEvent, None]:
    """What preprocess-service makes of the media. Without it, a canonical WAV is cut here, speech or not.

    Raises:
        ServiceError: also in the middle.
    """
    began = False
    events = preprocess.prepare(media, options=options, idle_s=PREPARE_IDLE_S, request_id=request_id)
    try:
        async with aclosing(events):
            async for event in events:
                began = True
                yield event
    except ServiceError as error:
        canonical = canonical_wav(media)
        if began or canonical is None or error.code is not ErrorCode.BACKEND_UNAVAILABLE:
            raise
        log.warning("request_id=%s preprocess-service is away: cutting a canonical WAV here", request_id)
        for event in _cut(canonical):
            yield event


def canonical_wav(media: bytes | memoryview) -> WavAudio | None:
    """The media as they are, where they are audio that needs no decoding."""
    try:
        return WavAudio.from_wav(media)
    except ValueError:
        return None


def has_pauses(audio: WavAudio) -> bool:
    """Whether it grows quiet now and then, as speech near a microphone does, and noise, tones and most music do not."""
    levels = list(map(abs, _samples(audio)[::_LOOKED_AT]))
    frames = sorted(sum(levels[i : i + _FRAME]) for i in range(0, len(levels), _FRAME))
    tenth = len(frames) // 10
    return bool(frames) and frames[-1 - tenth] > _PAUSE_RATIO * max(frames[tenth], _FRAME)


def _samples(audio: WavAudio) -> memoryview:
    return memoryview(audio.pcm).cast("B").cast("h")  # both ends of the wire are little-endian machines


def _cut(audio: WavAudio) -> Iterator[PreparedEvent]:
    segmenter = Segmenter()
    pcm = memoryview(audio.pcm)
    for at in range(0, len(pcm), _FEED_BYTES):
        yield from segmenter.feed(pcm[at : at + _FEED_BYTES])
    yield from segmenter.finish()
    yield PrepareEnd(duration_s=audio.duration_s)
