"""Finds out whether a file has, or should have, more audio behind the last sample that was decoded."""

import struct
from collections.abc import Callable

from av.audio.stream import AudioStream
from av.container import InputContainer
from rapl_protocol.prepared import Damage

from rapl_preprocess.media.containers import Media
from rapl_preprocess.media.headers import id3, matroska, mp4, ogg, riff

_TOLERANCE_S = 0.2
"""A duration in a header may be longer than the audio by this much: it is rounded, or counts the encoder's padding."""
_COARSE_TOLERANCE_S = 1.0
"""Tolerance for durations that a file may have kept from before it was edited."""
_TAG_BYTES = 1 << 12
"""Bytes at the end of a file that may be a tag."""
_UNKNOWN_BYTES = 0x7F000000
"""Programs that write to a pipe write a size from here on in the header."""

_End = tuple[bool, float | None]
"""Whether the file ends too early, and the time at which its audio should end, if that is known."""


def missing_end(
    container: InputContainer, stream: AudioStream, media: Media, origin_s: float, position_s: float
) -> Damage | None:
    """Returns the damage from `position_s`, where the decoded audio ends, to the end in the header; None if there is
    none.

    Args:
        container: the file, after its last packet.
        stream: the track that was decoded.
        media: the same file as bytes.
        origin_s: the timestamp that is time 0.
        position_s: the end of the decoded audio.
    """
    measure = _MEASURES.get(container.format.name)
    if measure is None:
        return None
    is_cut_off, end_s = measure(container, stream, media, origin_s, position_s)
    reason = "cut_off" if is_cut_off else "undecodable"
    if end_s is not None and end_s > position_s + _TOLERANCE_S:
        return Damage(reason=reason, start_s=position_s, end_s=end_s)
    return Damage(reason=reason, start_s=position_s, end_s=None) if is_cut_off and end_s is None else None


def _of_chunks(_: InputContainer, stream: AudioStream, media: Media, origin_s: float, position_s: float) -> _End:
    ratio = riff.announced_ratio(media)
    return (True, position_s * ratio) if ratio > 1 else (False, None)


def _of_avi(_: InputContainer, stream: AudioStream, media: Media, origin_s: float, position_s: float) -> _End:
    """The duration in the header of an AVI file often counts pauses that are not in it."""
    return 8 + int.from_bytes(media.read(4, 4), "little") > media.size, None


def _of_header(_: InputContainer, stream: AudioStream, media: Media, origin_s: float, position_s: float) -> _End:
    """For formats with the number of samples in the header."""
    announced_s = _duration_s(stream)
    if announced_s is None or announced_s * (stream.codec_context.bit_rate or 0) / 8 >= _UNKNOWN_BYTES:
        return False, None
    return True, announced_s


def _of_mp4(_: InputContainer, stream: AudioStream, media: Media, origin_s: float, position_s: float) -> _End:
    """The index of an mp4 names the place of each packet. In a file that was cut off the last ones lie behind its end.

    The duration in the header is not enough, because an edit list may end the sound earlier.
    """
    boxes_end = mp4.fragments_end(media)
    if boxes_end is not None:
        return _of_fragments(boxes_end, media, position_s)
    index = stream.index_entries
    if not len(index) or index[-1].pos + index[-1].size <= media.size:
        return False, None
    step = index[-1].timestamp - index[-2].timestamp if len(index) > 1 else 0
    return True, float((index[-1].timestamp + step) * (stream.time_base or 0)) - origin_s


def _of_fragments(boxes_end: int, media: Media, position_s: float) -> _End:
    """FFmpeg's libraries stop at bytes that are no box. How long the rest is follows from its bytes."""
    rest_bytes = media.size - boxes_end
    return rest_bytes < 0, position_s * media.size / boxes_end if rest_bytes > _TAG_BYTES else None


def _of_matroska(
    container: InputContainer, stream: AudioStream, media: Media, origin_s: float, position_s: float
) -> _End:
    duration_s = container.duration / 1_000_000 if container.duration else None
    if origin_s:
        duration_s = None
    if matroska.is_cut_off(media):
        return True, duration_s
    if duration_s is None or len(container.streams) > 1:
        return False, None
    return False, duration_s if duration_s > position_s + _COARSE_TOLERANCE_S else None


def _of_ogg(container: InputContainer, stream: AudioStream, media: Media, origin_s: float, position_s: float) -> _End:
    """The end is the time of the last page, which FFmpeg's libraries read first. What lies behind it has no time."""
    last = ogg.last_page(media)
    if last is None or last.is_cut_off or len(container.streams) > 1:
        return last is not None and last.is_cut_off, None
    end_s, rest_bytes = position_s, media.size - last.end
    if _is_confirmed(last.granule, stream):
        end_s = max(end_s, float(last.granule * (stream.time_base or 0)) - origin_s)
    return False, end_s + (end_s * rest_bytes / last.end if rest_bytes > _TAG_BYTES else 0.0)


def _is_confirmed(granule: int, stream: AudioStream) -> bool:
    """Returns whether FFmpeg's libraries found the same end, and did not guess it from the bit rate.

    They check that the page is not damaged. Their duration counts from the start of the stream or from 0.
    """
    durations = (stream.duration or 0, (stream.duration or 0) + (stream.start_time or 0))
    return any(abs(granule - duration) * float(stream.time_base or 0) < _TOLERANCE_S for duration in durations)


def _of_adts(_: InputContainer, stream: AudioStream, media: Media, origin_s: float, position_s: float) -> _End:
    """FFmpeg's libraries skip bytes that are no packet, wherever they lie, and count the positions on without them."""
    index = stream.index_entries
    end = index[-1].pos + index[-1].size if len(index) else 0
    if not end or media.size - end <= _TAG_BYTES or b"APETAGEX" in media.read(media.size - 160, 160):
        return False, None
    rest_bytes = media.size - end - id3.all_tags_bytes(media)
    return False, position_s + position_s * rest_bytes / end if rest_bytes > _TAG_BYTES else None


def _of_mp3(_: InputContainer, stream: AudioStream, media: Media, origin_s: float, position_s: float) -> _End:
    """The Xing header of an mp3 names its frames and bytes. Other files announce no duration."""
    index = stream.index_entries
    first = index[0].pos if len(index) else 0
    start = max(0, first - (1 << 12))
    head = media.read(start, first - start)
    at = max(head.rfind(b"Xing"), head.rfind(b"Info"))
    if at < 0 or len(head) < at + 16:
        return False, None
    flags, _frames, announced_bytes = struct.unpack_from(">III", head, at + 4)
    duration_s = _duration_s(stream)
    if flags & 3 != 3 or duration_s is None or duration_s < position_s + _COARSE_TOLERANCE_S:
        return False, None
    return start + at + announced_bytes > media.size + _TAG_BYTES, duration_s


def _of_flv(container: InputContainer, stream: AudioStream, media: Media, origin_s: float, position_s: float) -> _End:
    if not container.duration or len(container.streams) > 1:
        return False, None
    return True, container.duration / 1_000_000 - origin_s


def _duration_s(stream: AudioStream) -> float | None:
    return float(stream.duration * stream.time_base) if stream.duration and stream.time_base else None


_MEASURES: dict[str, Callable[[InputContainer, AudioStream, Media, float, float], _End]] = {
    **dict.fromkeys(("wav", "w64", "caf"), _of_chunks),
    "avi": _of_avi,
    "mov,mp4,m4a,3gp,3g2,mj2": _of_mp4,
    "matroska,webm": _of_matroska,
    "ogg": _of_ogg,
    "mp3": _of_mp3,
    "aac": _of_adts,
    "flv": _of_flv,
    **dict.fromkeys(("flac", "aiff", "au", "wv", "tta", "ape"), _of_header),
}
