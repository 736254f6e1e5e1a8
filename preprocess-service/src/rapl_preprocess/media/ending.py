"""Finds out whether a file has, or should have, more audio behind the last sample that was decoded."""

import struct
from collections.abc import Callable
from dataclasses import dataclass

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

_End = tuple[bool, float | None]
"""Whether the file ends too early, and the time at which its audio should end, if that is known."""


@dataclass(frozen=True, slots=True)
class ReadTrack:
    """A track after its last packet."""

    container: InputContainer
    stream: AudioStream
    media: Media
    """The file as bytes."""
    origin_s: float
    """The timestamp that is time 0."""
    position_s: float
    """The end of the decoded audio."""
    last_block_end: int | None = None
    """In Matroska, the position behind the track's last block."""


def missing_end(read: ReadTrack) -> Damage | None:
    """Returns the damage from the end of the decoded audio to the end that the file should have, if any."""
    measure = _MEASURES.get(read.container.format.name)
    if measure is None:
        return None
    is_cut_off, end_s = measure(read)
    is_missing = is_cut_off if end_s is None else end_s > read.position_s + _TOLERANCE_S
    reason = "cut_off" if is_cut_off else "undecodable"
    return Damage(reason=reason, start_s=read.position_s, end_s=end_s) if is_missing else None


def _of_chunks(read: ReadTrack) -> _End:
    ratio = riff.announced_ratio(read.media)
    return (True, read.position_s * ratio) if ratio > 1 else (False, None)


def _of_avi(read: ReadTrack) -> _End:
    """The duration in the header of an AVI file often counts pauses that are not in it."""
    return 8 + int.from_bytes(read.media.read(4, 4), "little") > read.media.size, None


def _of_header(read: ReadTrack) -> _End:
    """For formats with the number of samples in the header."""
    announced_s = _duration_s(read.stream)
    if announced_s is None or announced_s * (read.stream.codec_context.bit_rate or 0) / 8 >= riff.UNKNOWN_BYTES:
        return False, None
    return True, announced_s


def _of_mp4(read: ReadTrack) -> _End:
    """The index of an mp4 names the place of each packet. In a file that was cut off the last ones lie behind its end.

    The duration in the header is not enough, because an edit list may end the sound earlier.
    """
    boxes_end = mp4.fragments_end(read.media)
    if boxes_end is not None:
        return _of_fragments(read, boxes_end)
    index = read.stream.index_entries
    if not len(index) or index[-1].pos + index[-1].size <= read.media.size:
        return False, None
    step = index[-1].timestamp - index[-2].timestamp if len(index) > 1 else 0
    return True, float((index[-1].timestamp + step) * (read.stream.time_base or 0)) - read.origin_s


def _of_fragments(read: ReadTrack, boxes_end: int) -> _End:
    """FFmpeg's libraries stop at bytes that are no box. How long the rest is follows from its bytes."""
    rest_bytes = read.media.size - boxes_end
    return rest_bytes < 0, read.position_s * read.media.size / boxes_end if rest_bytes > _TAG_BYTES else None


def _of_matroska(read: ReadTrack) -> _End:
    """The duration is used only if the file was cut off or has a hole here. Some recorders count pauses in it."""
    is_cut_off, block_end = matroska.is_cut_off(read.media), read.last_block_end
    has_hole = block_end is not None and matroska.is_hole(read.media, block_end, read.media.size)
    if is_cut_off or has_hole:
        announced_s = read.container.duration / 1_000_000 if read.container.duration and not read.origin_s else None
        by_bytes_s = read.position_s * read.media.size / block_end if block_end and has_hole else None
        return is_cut_off, announced_s or by_bytes_s
    return False, None


def _of_ogg(read: ReadTrack) -> _End:
    """The end is the time of the last page, which FFmpeg's libraries read first. What lies behind it has no time."""
    last = ogg.last_page(read.media)
    if last is None or last.is_cut_off or len(read.container.streams) > 1:
        return last is not None and last.is_cut_off, None
    end_s, rest_bytes = read.position_s, read.media.size - last.end
    if _is_confirmed(last.granule, read.stream):
        end_s = max(end_s, float(last.granule * (read.stream.time_base or 0)) - read.origin_s)
    return False, end_s + (end_s * rest_bytes / last.end if rest_bytes > _TAG_BYTES else 0.0)


def _is_confirmed(granule: int, stream: AudioStream) -> bool:
    """Returns whether FFmpeg's libraries found the same end, and did not guess it from the bit rate.

    They check that the page is not damaged. Their duration counts from the start of the stream or from 0.
    """
    durations = (stream.duration or 0, (stream.duration or 0) + (stream.start_time or 0))
    return any(abs(granule - duration) * float(stream.time_base or 0) < _TOLERANCE_S for duration in durations)


def _of_adts(read: ReadTrack) -> _End:
    """FFmpeg's libraries skip bytes that are no packet, wherever they lie, and count the positions on without them."""
    index = read.stream.index_entries
    end = index[-1].pos + index[-1].size if len(index) else 0
    if not end or read.media.size - end <= _TAG_BYTES or b"APETAGEX" in read.media.read(read.media.size - 160, 160):
        return False, None
    rest_bytes = read.media.size - end - id3.all_tags_bytes(read.media)
    return False, read.position_s + read.position_s * rest_bytes / end if rest_bytes > _TAG_BYTES else None


def _of_mp3(read: ReadTrack) -> _End:
    """The Xing header of an mp3 names its frames and bytes. Other files announce no duration."""
    index = read.stream.index_entries
    first = index[0].pos if len(index) else 0
    start = max(0, first - (1 << 12))
    head = read.media.read(start, first - start)
    at = max(head.rfind(b"Xing"), head.rfind(b"Info"))
    if at < 0 or len(head) < at + 16:
        return False, None
    flags, _frames, announced_bytes = struct.unpack_from(">III", head, at + 4)
    duration_s = _duration_s(read.stream)
    if flags & 3 != 3 or duration_s is None or duration_s < read.position_s + _COARSE_TOLERANCE_S:
        return False, None
    return start + at + announced_bytes > read.media.size + _TAG_BYTES, duration_s


def _of_flv(read: ReadTrack) -> _End:
    duration_s = (read.container.duration or 0) / 1_000_000 - read.origin_s
    is_missing = len(read.container.streams) == 1 and duration_s > read.position_s + _COARSE_TOLERANCE_S
    return (True, duration_s) if is_missing else (False, None)


def _duration_s(stream: AudioStream) -> float | None:
    return float(stream.duration * stream.time_base) if stream.duration and stream.time_base else None


_MEASURES: dict[str, Callable[[ReadTrack], _End]] = {
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
