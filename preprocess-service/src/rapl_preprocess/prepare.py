"""Media in, prepared events out: plain generators that know nothing of threads or of HTTP."""

import logging
from collections.abc import Callable, Generator, Iterator

from rapl_protocol.audio import BYTES_PER_SECOND, SAMPLE_RATE_HZ, WavAudio
from rapl_protocol.prepared import PreparedEvent, PrepareEnd, SourceInfo, SpeechSegment
from rapl_protocol.segmentation import Segmenter

from rapl_preprocess.decode import Damage, Decoded, decode
from rapl_preprocess.media import too_long, undecodable

BATCH_S = 20.0
"""Audio that is handed on at once. A short clip is one batch, end and all; a long file is about one segment each."""
_CANONICAL_SOURCE = SourceInfo(container="wav", codec="pcm_s16le", sample_rate_hz=SAMPLE_RATE_HZ, channels=1)

log = logging.getLogger("rapl")


def prepare_in_batches(
    media: memoryview, max_duration_s: float, request_id: str, is_stopped: Callable[[], bool]
) -> Generator[list[PreparedEvent], None, None]:
    """Yields the events of `prepare` as lists of about BATCH_S of audio; the last list ends with PrepareEnd."""
    batch: list[PreparedEvent] = []
    audio_s = 0.0
    for event in prepare(media, max_duration_s, request_id, is_stopped):
        batch.append(event)
        if isinstance(event, SpeechSegment):
            audio_s += event.audio.duration_s
        if audio_s >= BATCH_S:
            yield batch
            batch, audio_s = [], 0.0
    yield batch


def prepare(
    media: memoryview, max_duration_s: float, request_id: str, is_stopped: Callable[[], bool]
) -> Iterator[PreparedEvent]:
    """Yields SourceInfo, the segments, PrepareEnd.

    Raises:
        ServiceError: AUDIO_UNDECODABLE or AUDIO_TOO_LARGE, also after some events.
    """
    segmenter = Segmenter()
    for part in _decoded(media, max_duration_s, is_stopped):
        match part:
            case SourceInfo():
                yield part
            case Damage():
                _warn(part, request_id)
            case pcm:
                yield from segmenter.feed(pcm)
                if segmenter.duration_s > max_duration_s:
                    raise too_long(max_duration_s)
    if not segmenter.duration_s:
        raise undecodable("The audio file holds no audio that could be decoded.")
    yield from segmenter.finish()
    yield PrepareEnd(duration_s=segmenter.duration_s)


def _decoded(
    media: memoryview, max_duration_s: float, is_stopped: Callable[[], bool]
) -> Iterator[Decoded | memoryview]:
    if not media:
        raise undecodable("The uploaded file is empty.")
    try:
        audio = WavAudio.from_wav(media)
    except ValueError:
        yield from decode(media, max_duration_s, is_stopped)
    else:
        yield from _canonical(audio, max_duration_s)


def _canonical(audio: WavAudio, max_duration_s: float) -> Iterator[SourceInfo | memoryview]:
    """What is in the form of segments already, in pieces of a second."""
    if audio.duration_s > max_duration_s:
        raise too_long(max_duration_s)
    yield _CANONICAL_SOURCE
    pcm = memoryview(audio.pcm)
    for start in range(0, len(pcm), BYTES_PER_SECOND):
        yield pcm[start : start + BYTES_PER_SECOND]


def _warn(damage: Damage, request_id: str) -> None:
    log.warning(
        "request_id=%s damaged media: broken_packets=%d broken_s=%.2f is_cut_off=%s",
        request_id, damage.broken_packets, damage.broken_s, damage.is_cut_off,
    )  # fmt: skip
