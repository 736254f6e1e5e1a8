"""Cuts media into segments of speech, with preprocess-service or, for a canonical WAV, without it."""

import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing

from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ServiceError
from rapl_protocol.prepared import PreparedEvent, PrepareEnd, PrepareOptions
from rapl_protocol.segmentation import Segmenter
from rapl_service.calls.clients import PreprocessClient

from rapl_gateway.backends.retry import policy

PREPARE_IDLE_S = 60.0
"""Longest time between two events of preprocess-service, in seconds. Decoding 30 s of audio takes well under one
second."""
SPEECH_CHECK_S = 1.0
"""Longest time for the speech check of a clip, in seconds. It usually takes ten milliseconds, and dictation must not
wait longer than this."""
_FEED_BYTES = 1 << 16
_SAMPLE_STEP = 64
"""Loudness is measured on one sample in 64. This takes 0.05 ms for 5 s of audio."""
_FRAME = 20
"""Number of these samples in a frame of 80 ms."""
_PAUSE_RATIO = 16
"""Audio has pauses if the 90th percentile of its frames' levels is more than 24 dB above the 10th percentile. Measured:
25 dB for dictation with noise 20 dB below it, 35 dB for dictation with noise 30 dB below it; 4 dB for white noise, 1 dB
for a tone, 18 dB for chords with drums."""

log = logging.getLogger("rapl")


async def prepared_events(
    preprocess: PreprocessClient,
    media: bytes | memoryview,
    options: PrepareOptions,
    request_id: str,
    on_cut_here: Callable[[], None],
) -> AsyncGenerator[PreparedEvent, None]:
    """Yields the events of preprocess-service. If it cannot be reached, a canonical WAV is cut here, without speech
    detection, after a call of `on_cut_here`.

    Raises:
        ServiceError: can also be raised after some events.
    """
    began = False
    events = preprocess.prepare(media, options=options, idle_s=PREPARE_IDLE_S, request_id=request_id)
    try:
        async with aclosing(events):
            async for event in events:
                began = True
                yield event
    except ServiceError as error:
        canonical = canonical_wav(media) if options.audio_track is None else None
        if began or canonical is None or not policy(error).cuts_wav_here:
            raise
        log.warning("request_id=%s fallback: preprocess-service failed, the gateway cuts the WAV itself", request_id)
        on_cut_here()
        for event in _cut(canonical):
            yield event


def canonical_wav(media: bytes | memoryview) -> WavAudio | None:
    """Returns the audio of a 16 kHz mono s16 WAV, which needs no decoding; None for other media."""
    try:
        return WavAudio.from_wav(media)
    except ValueError:
        return None


def has_pauses(audio: WavAudio) -> bool:
    """Returns whether the audio has quiet moments. Speech near a microphone has them; noise, tones and most music do
    not."""
    levels = list(map(abs, _samples(audio)[::_SAMPLE_STEP]))
    frames = sorted(sum(levels[i : i + _FRAME]) for i in range(0, len(levels), _FRAME))
    tenth = len(frames) // 10
    return bool(frames) and frames[-1 - tenth] > _PAUSE_RATIO * max(frames[tenth], _FRAME)


def _samples(audio: WavAudio) -> memoryview:
    return memoryview(audio.pcm).cast("B").cast("h")  # all supported platforms are little-endian


def _cut(audio: WavAudio) -> Iterator[PreparedEvent]:
    segmenter = Segmenter()
    pcm = memoryview(audio.pcm)
    for at in range(0, len(pcm), _FEED_BYTES):
        yield from segmenter.feed(pcm[at : at + _FEED_BYTES])
    yield from segmenter.finish()
    yield PrepareEnd(duration_s=audio.duration_s)
