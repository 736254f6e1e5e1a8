"""Media in, prepared events out: plain generators that know nothing of threads or of HTTP."""

import logging
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

from rapl_protocol.audio import BYTES_PER_SECOND, SAMPLE_RATE_HZ, WavAudio
from rapl_protocol.prepared import (
    PreparedEvent,
    PrepareEnd,
    PrepareOptions,
    PrepareProgress,
    SourceInfo,
    SpeechSegment,
)
from rapl_protocol.segmentation import Segmenter

from rapl_preprocess.decode import Damage, Decoded, decode
from rapl_preprocess.media import too_long, undecodable
from rapl_preprocess.quiet import quietest_point
from rapl_preprocess.silero import SpeechModel
from rapl_preprocess.speech_segmenter import SpeechSegmenter

PROGRESS_S = 30.0
"""How much of a source is decoded without a segment before the work is handed on: other files take turns then."""
_CANONICAL = {"container": "wav", "codec": "pcm_s16le", "sample_rate_hz": SAMPLE_RATE_HZ, "channels": 1}

log = logging.getLogger("rapl")


@dataclass(frozen=True, slots=True)
class Job:
    """One file, and what is wanted of it."""

    media: memoryview
    options: PrepareOptions
    max_duration_s: float
    request_id: str


def prepare_in_batches(
    job: Job, model: SpeechModel, is_stopped: Callable[[], bool]
) -> Generator[list[PreparedEvent | PrepareProgress], None, None]:
    """Yields the events of `prepare`, a list each time a segment or some progress is there, and one at the end."""
    batch: list[PreparedEvent | PrepareProgress] = []
    for event in prepare(job, model, is_stopped):
        batch.append(event)
        if isinstance(event, SpeechSegment | PrepareProgress):
            yield batch
            batch = []
    yield batch


def prepare(job: Job, model: SpeechModel, is_stopped: Callable[[], bool]) -> Iterator[PreparedEvent | PrepareProgress]:
    """Yields SourceInfo, the segments, PrepareEnd; and PrepareProgress where no segment comes for long.

    Raises:
        ServiceError: AUDIO_UNDECODABLE or AUDIO_TOO_LARGE, also after some events.
    """
    segmenter = (
        Segmenter(quietest=quietest_point)
        if job.options.speech_detection == "off"
        else SpeechSegmenter(model, job.options)
    )
    told_s = 0.0
    for part in _decoded(job.media, job.max_duration_s, is_stopped):
        match part:
            case SourceInfo():
                yield part
            case Damage():
                _warn(part, job.request_id)
            case pcm:
                for segment in segmenter.feed(pcm):
                    yield segment
                    told_s = segmenter.duration_s
                if segmenter.duration_s > job.max_duration_s:
                    raise too_long(job.max_duration_s)
                if segmenter.duration_s - told_s > PROGRESS_S:
                    told_s = segmenter.duration_s
                    yield PrepareProgress(position_s=told_s)
    if not segmenter.duration_s:
        raise undecodable("The audio file holds no audio that could be decoded.")
    yield from segmenter.finish()
    yield PrepareEnd(duration_s=segmenter.duration_s, speech_s=segmenter.speech_s)


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
    yield SourceInfo(**_CANONICAL, duration_s=audio.duration_s)
    pcm = memoryview(audio.pcm)
    for start in range(0, len(pcm), BYTES_PER_SECOND):
        yield pcm[start : start + BYTES_PER_SECOND]


def _warn(damage: Damage, request_id: str) -> None:
    log.warning(
        "request_id=%s damaged media: broken_packets=%d broken_s=%.2f is_cut_off=%s",
        request_id, damage.broken_packets, damage.broken_s, damage.is_cut_off,
    )  # fmt: skip
