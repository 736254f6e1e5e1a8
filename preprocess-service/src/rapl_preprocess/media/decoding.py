"""Decodes one audio track of any media to 16 kHz mono PCM."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from rapl_protocol.prepared import SourceInfo

from rapl_preprocess.media.containers import BARE_STREAMS, NOT_MEDIA, Media, open_media, too_long, undecodable
from rapl_preprocess.media.streams import TrackChoice
from rapl_preprocess.media.track import MAX_SILENCE_S, Track

MAX_START_S = 10.0
"""Latest first timestamp of a file with its own clock. A file with a later one was cut out of a longer recording."""
_DISCONTINUITY_S = 10.0
"""If the timestamps of a format may jump, a longer jump is the start of a new clock.

Source: `dts_delta_threshold` of https://ffmpeg.org/ffmpeg.html
"""
_TS_DISCONT = 0x0200
"""AVFMT_TS_DISCONT, the flag of formats whose timestamps may start anywhere and may jump.

Source: https://ffmpeg.org/doxygen/trunk/avformat_8h.html
"""
# Formats with the exact duration in their header. Other formats have an estimate from the bit rate, or a value that was
# written before the duration was known.
_DURATION_IN_HEADER = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "flac"})
_BARE_STREAM_MIN_FRAMES = 3
"""Fewest frames of a bare stream. Other files contain one or two frames by chance: 2 of 2,000 system files do (terminfo
files, read as mp1)."""


@dataclass(slots=True)
class Damage:
    """The parts of a file that could not be decoded. The rest of the file was decoded."""

    broken_packets: int = 0
    broken_s: float = 0.0
    """Total duration of the broken packets. A packet without a duration counts as 0."""
    is_cut_off: bool = False
    """Whether the container became unreadable before its end."""

    def __str__(self) -> str:
        return f"broken_packets={self.broken_packets} broken_s={self.broken_s:.2f} is_cut_off={self.is_cut_off}"


Decoded = SourceInfo | bytes | Damage
Packets = Iterator["Packet[AudioStream]"]


def decode(
    media: Media, max_duration_s: float, is_stopped: Callable[[], bool], tracks: TrackChoice
) -> Iterator[Decoded]:
    """Yields SourceInfo, then the audio as 16 kHz mono s16le, then Damage if there was any.

    The first sample is at time 0 of the file (see `_origin_s`). If the timestamps show that audio is missing, silence
    replaces it. A file without decodable audio yields neither SourceInfo nor PCM.

    Args:
        media: any file.
        max_duration_s: a file with a longer duration in its header is refused. Other files are decoded.
        is_stopped: called at each read; when it returns True, the read returns no data, as at the end of the file.
        tracks: which track to decode.

    Raises:
        ServiceError: AUDIO_UNDECODABLE or AUDIO_TOO_LARGE; INVALID_REQUEST if the wanted track does not exist.
    """
    with open_media(media, is_stopped) as container:
        stream = tracks.stream_of(container)
        _refuse_if_announced_longer(container, max_duration_s)
        damage = Damage()
        is_bare = container.format.name in BARE_STREAMS
        max_gap_s = _DISCONTINUITY_S if _may_jump(container) else MAX_SILENCE_S
        track = Track(_origin_s(container), max_gap_s, has_clock=not is_bare)
        has_begun = False
        frames = _frames(_until_cut_off(container.demux(stream), damage), stream, damage)
        if is_bare:
            frames = _require_several_frames(frames)
        for frame, lost_s in frames:
            if not has_begun:
                yield _source_info(container, stream, frame)
                has_begun = True
            yield from track.add(frame, lost_s)
        yield from track.finish()
        if damage != Damage():
            yield damage


def _refuse_if_announced_longer(container: InputContainer, max_duration_s: float) -> None:
    """Refuses a file before it is decoded, if its format has the duration in its header."""
    duration_s = (container.duration or 0) / 1_000_000
    if container.format.name in _DURATION_IN_HEADER and duration_s > max_duration_s:
        raise too_long(max_duration_s)


def _may_jump(container: InputContainer) -> bool:
    return bool(container.format.flags & _TS_DISCONT)


def _origin_s(container: InputContainer) -> float:
    """Returns the timestamp that counts as time 0 of the file.

    It is usually 0.0, so that a pause at the start of an mp4's edit list is kept. If the timestamps of a format may
    start anywhere, it is the earliest timestamp of all tracks, so that audio that starts after the video keeps its
    delay.
    """
    start_s = (container.start_time or 0) / 1_000_000
    return start_s if _may_jump(container) or start_s > MAX_START_S else 0.0


def _source_info(container: InputContainer, stream: AudioStream, frame: AudioFrame) -> SourceInfo:
    return SourceInfo(
        container=container.format.name,
        codec=stream.codec_context.name,
        sample_rate_hz=frame.sample_rate,
        channels=frame.layout.nb_channels,
        duration_s=container.duration / 1_000_000 if container.duration else None,
    )


def _frames(
    packets: Iterator["Packet[AudioStream] | None"], stream: AudioStream, damage: Damage
) -> Iterator[tuple[AudioFrame, float]]:
    """Yields each frame with the seconds of audio that were lost before it, and counts broken packets in `damage`."""
    lost_s = 0.0
    for packet in packets:
        try:
            frames = stream.decode(packet)
        except FFmpegError:
            if packet is not None and packet.size:
                broken_s = float((packet.duration or 0) * (packet.time_base or 0))
                damage.broken_packets += 1
                damage.broken_s += broken_s
                lost_s += broken_s
            continue
        for frame in frames:
            yield frame, lost_s
            lost_s = 0.0


def _require_several_frames(frames: Iterator[tuple[AudioFrame, float]]) -> Iterator[tuple[AudioFrame, float]]:
    """Yields the frames.

    Raises:
        ServiceError: AUDIO_UNDECODABLE if there are fewer than _BARE_STREAM_MIN_FRAMES.
    """
    first = list(islice(frames, _BARE_STREAM_MIN_FRAMES))
    if len(first) < _BARE_STREAM_MIN_FRAMES:
        raise undecodable(NOT_MEDIA)
    yield from first
    yield from frames


def _until_cut_off(packets: Packets, damage: Damage) -> Iterator["Packet[AudioStream] | None"]:
    """Yields the packets. If reading fails, notes it in `damage` and yields None, which flushes the decoder."""
    try:
        yield from packets
    except FFmpegError:
        damage.is_cut_off = True
        yield None
    except IndexError:  # av 18.1 raises it at the end of a file in which a track appeared after the start
        yield None
