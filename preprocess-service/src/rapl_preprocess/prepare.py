"""Turns media into events. These are plain generators, without threads, processes or HTTP."""

from collections.abc import Callable, Iterable, Iterator

from rapl_protocol.audio import BYTES_PER_SECOND, SAMPLE_RATE_HZ, WavAudio
from rapl_protocol.errors import ServiceError
from rapl_protocol.prepared import (
    NOTHING_TO_REPORT,
    MediaReport,
    PreparedEvent,
    PrepareEnd,
    PrepareOptions,
    PrepareProgress,
    SourceInfo,
    SpeechSegment,
)
from rapl_protocol.segmentation import Segmenter

from rapl_preprocess.media.chain import decode_all
from rapl_preprocess.media.containers import Media, too_long, undecodable
from rapl_preprocess.media.decoding import Decoded
from rapl_preprocess.media.first_track_with_speech import first_track_with_speech
from rapl_preprocess.media.streams import TrackChoice
from rapl_preprocess.speech.quietest_point import quietest_point
from rapl_preprocess.speech.segmenter import SpeechSegmenter
from rapl_preprocess.speech.silero import SpeechModel

PROGRESS_S = 30.0
"""Seconds of audio without a segment after which a progress event is sent."""
MIN_BYTES_PER_S = 16
"""Fewest bytes per second of a real recording. A second of silence takes 25 bytes even in Opus with DTX."""
_FREE_S = 600.0
"""Seconds of audio that every file may contain, even a very small one."""
_CANONICAL = {"container": "wav", "codec": "pcm_s16le", "sample_rate_hz": SAMPLE_RATE_HZ, "channels": 1}

Event = PreparedEvent | PrepareProgress


def prepare(
    media: Media, options: PrepareOptions, max_duration_s: float, model: SpeechModel, is_stopped: Callable[[], bool]
) -> Iterator[Event]:
    """Decodes any media. Yields SourceInfo, the segments, and PrepareEnd with what could not be read.

    After PROGRESS_S without a segment it yields PrepareProgress. Of several audio tracks, the events are those of the
    first one with speech, and PrepareEnd names the others.

    Raises:
        ServiceError: AUDIO_UNDECODABLE or AUDIO_TOO_LARGE, also after some events; INVALID_REQUEST if the wanted track
            does not exist.
    """
    tracks = TrackChoice(options.audio_track)

    def events_of_track() -> Iterator[Event]:
        parts = bounded(decode_all(media, max_duration_s, is_stopped, tracks), media.size, max_duration_s)
        for event in _segmented(parts, options, model):
            if isinstance(event, PrepareEnd):
                event = event.model_copy(update={"media": tracks.reported_in(event.media)})
            yield event

    yield from first_track_with_speech(
        events_of_track,
        tracks,
        shows_speech=lambda event: isinstance(event, SpeechSegment),
        is_progress=lambda event: isinstance(event, PrepareProgress),
    )


def prepare_canonical(
    audio: WavAudio, options: PrepareOptions, max_duration_s: float, model: SpeechModel
) -> Iterator[Event]:
    """Yields the events of `prepare` for audio that is already 16 kHz mono s16le.

    Raises:
        ServiceError: AUDIO_UNDECODABLE or AUDIO_TOO_LARGE.
    """
    if audio.duration_s > max_duration_s:
        raise too_long(max_duration_s)
    source = SourceInfo(**_CANONICAL, duration_s=audio.duration_s)
    pcm = memoryview(audio.pcm)
    pieces = (pcm[start : start + BYTES_PER_SECOND] for start in range(0, len(pcm), BYTES_PER_SECOND))
    yield from _segmented([source, *pieces], options, model)


def _segmented(parts: Iterable[Decoded | memoryview], options: PrepareOptions, model: SpeechModel) -> Iterator[Event]:
    detects_speech = options.speech_detection == "on"
    segmenter = SpeechSegmenter(model, options) if detects_speech else Segmenter(quietest=quietest_point)
    report, reported_s = NOTHING_TO_REPORT, 0.0
    for part in parts:
        match part:
            case SourceInfo():
                yield part
            case MediaReport():
                report = part
            case pcm:
                for segment in segmenter.feed(pcm):
                    yield segment
                    reported_s = segmenter.duration_s
                if segmenter.duration_s - reported_s > PROGRESS_S:
                    reported_s = segmenter.duration_s
                    yield PrepareProgress(position_s=reported_s)
    if not segmenter.duration_s:
        raise no_audio()
    yield from segmenter.finish()
    speech_s, speech = segmenter.speech_s, segmenter.late_speech
    yield PrepareEnd(duration_s=segmenter.duration_s, speech_s=speech_s, speech=speech, media=report)


def no_audio() -> ServiceError:
    return undecodable("The audio file contains no audio that can be decoded.")


def bounded(parts: Iterable[Decoded], media_bytes: int, max_duration_s: float) -> Iterator[Decoded]:
    """Yields the decoded parts until they exceed a limit.

    Raises:
        ServiceError: AUDIO_TOO_LARGE for more than `max_duration_s`; AUDIO_UNDECODABLE for more audio than a recording
            of `media_bytes` can contain. The parts before the limit have already been yielded.
    """
    plausible_s = _FREE_S + media_bytes / MIN_BYTES_PER_S
    decoded_s = 0.0
    for part in parts:
        if isinstance(part, bytes):
            decoded_s += len(part) / BYTES_PER_SECOND
            if decoded_s > max_duration_s:
                raise too_long(max_duration_s)
            if decoded_s > plausible_s:
                raise undecodable(
                    f"The file is too small to contain the {plausible_s:.0f} s of audio that were decoded from it."
                )
        yield part
