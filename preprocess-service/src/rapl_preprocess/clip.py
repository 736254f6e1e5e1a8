"""Decodes a short file. It sends the audio first, so that an engine can start, and then the speech check.

Of a file with several audio tracks, the audio is sent after the check: the check shows which track has speech.
"""

import time
from collections.abc import Callable, Iterator

from rapl_protocol.audio import BYTES_PER_SECOND, WavAudio
from rapl_protocol.intervals import total_s
from rapl_protocol.prepared import (
    MAX_SEGMENT_S,
    NOTHING_TO_REPORT,
    ClipAudio,
    MediaReport,
    PrepareEnd,
    PrepareOptions,
    SourceInfo,
)
from rapl_protocol.wire import encode_clip_event

from rapl_preprocess.batches import Batch, fields_of
from rapl_preprocess.media.chain import decode_all
from rapl_preprocess.media.containers import Media
from rapl_preprocess.media.damage import as_text
from rapl_preprocess.media.first_track_with_speech import first_track_with_speech
from rapl_preprocess.media.streams import TrackChoice
from rapl_preprocess.prepare import bounded, no_audio
from rapl_preprocess.speech.segmenter import SpeechSegmenter
from rapl_preprocess.speech.silero import SpeechModel

_PAUSE_S = 0.003
"""Pause between the audio and its speech check. The check uses a core for 4 ms, while the services need the cores to
send the audio to the engine. Without the pause the audio arrives 0.5 ms later (two cores, 5 s of m4a)."""


def clip(media: Media, options: PrepareOptions, model: SpeechModel, is_stopped: Callable[[], bool]) -> Iterator[Batch]:
    """Yields the whole audio of a file of up to MAX_SEGMENT_S and then, if speech detection is on, the speech check.

    Raises:
        ServiceError: AUDIO_UNDECODABLE; AUDIO_TOO_LARGE for longer media; INVALID_REQUEST if the wanted track does not
            exist.
    """
    checks_speech = options.speech_detection == "on"
    tracks = TrackChoice(options.audio_track)

    def batches_of_track() -> Iterator[Batch]:
        batch, pcm = _decoded(media, tracks, is_last=not checks_speech, is_stopped=is_stopped)
        yield batch
        if checks_speech:
            time.sleep(_PAUSE_S)
            check = SpeechSegmenter(model, options).check(pcm)
            yield Batch(encode_clip_event(check), {"speech_s": total_s(check.speech)}, is_last=True)

    yield from first_track_with_speech(
        batches_of_track,
        tracks,
        shows_speech=lambda batch: batch.is_last and (not checks_speech or batch.log_fields["speech_s"] > 0),
    )


def _decoded(
    media: Media, tracks: TrackChoice, *, is_last: bool, is_stopped: Callable[[], bool]
) -> tuple[Batch, bytes]:
    """Returns the batch with the audio, and the audio itself as 16 kHz mono s16le."""
    pieces: list[bytes] = []
    fields, report = {}, NOTHING_TO_REPORT
    for part in bounded(decode_all(media, MAX_SEGMENT_S, is_stopped, tracks), media.size, MAX_SEGMENT_S):
        match part:
            case SourceInfo():
                fields |= fields_of(part)
            case MediaReport():
                report = part
            case _:
                pieces.append(part)
    pcm = b"".join(pieces)
    if not pcm:
        raise no_audio()
    fields |= fields_of(PrepareEnd(duration_s=len(pcm) / BYTES_PER_SECOND))
    body = encode_clip_event(ClipAudio(WavAudio(pcm), tracks.reported_in(report)))
    return Batch(body, fields, as_text(report.damage), is_last), pcm
