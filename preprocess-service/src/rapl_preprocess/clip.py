"""A short file, decoded and not judged: what an engine can hear while somebody judges whether it is speech."""

from collections.abc import Callable

from rapl_protocol.audio import WavAudio
from rapl_protocol.prepared import MAX_SEGMENT_S, PrepareEnd, SourceInfo

from rapl_preprocess.batches import Batch, fields_of
from rapl_preprocess.media.containers import Media
from rapl_preprocess.media.decoding import Damage, decode
from rapl_preprocess.prepare import bounded, no_audio


def clip(media: Media, is_stopped: Callable[[], bool]) -> Batch:
    """Any media of up to MAX_SEGMENT_S as canonical WAV.

    Raises:
        ServiceError: AUDIO_UNDECODABLE, or AUDIO_TOO_LARGE where they are longer.
    """
    pieces: list[bytes] = []
    fields, damage = {}, None
    for part in bounded(decode(media, MAX_SEGMENT_S, is_stopped), media.size, MAX_SEGMENT_S):
        match part:
            case SourceInfo():
                fields |= fields_of(part)
            case Damage():
                damage = str(part)
            case _:
                pieces.append(part)
    audio = WavAudio(b"".join(pieces))
    if not audio.duration_s:
        raise no_audio()
    fields |= fields_of(PrepareEnd(duration_s=audio.duration_s))
    return Batch(audio.to_wav(), fields, damage, is_last=True)
