"""Decodes the first audio track of any media to 16 kHz mono PCM."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Discard
from rapl_protocol.prepared import SourceInfo

from rapl_preprocess.media.containers import BARE_STREAMS, NOT_MEDIA, Media, open_media, too_long, undecodable
from rapl_preprocess.media.track import MAX_SILENCE_S, Track

MAX_START_S = 10.0
"""A file whose first timestamp is later was cut out of a longer one: its clock did not start with the file."""
_DISCONTINUITY_S = 10.0
"""In formats whose timestamps may jump, a longer jump is a new clock. Source: `dts_delta_threshold` of https://ffmpeg.org/ffmpeg.html"""
_TS_DISCONT = 0x0200
"""AVFMT_TS_DISCONT, the flag of formats whose timestamps may start anywhere and may jump.

Source: https://ffmpeg.org/doxygen/trunk/avformat_8h.html
"""
# Other formats have a guess from the bit rate, or a value that was written before the duration was known.
_DURATION_IN_HEADER = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "flac"})
_BARE_STREAM_MIN_FRAMES = 3
"""One or two frames occur in other files by chance: in 2 of 2,000 system files (terminfo files, read as mp1)."""


@dataclass(slots=True)
class Damage:
    """What could not be decoded. The rest of the file was."""

    broken_packets: int = 0
    broken_s: float = 0.0
    """Duration of the broken packets, as far as they state one."""
    is_cut_off: bool = False
    """Whether the container became unreadable before its end."""

    def __str__(self) -> str:
        return f"broken_packets={self.broken_packets} broken_s={self.broken_s:.2f} is_cut_off={self.is_cut_off}"


Decoded = SourceInfo | bytes | Damage
Packets = Iterator["Packet[AudioStream]"]


def decode(media: Media, max_duration_s: float, is_stopped: Callable[[], bool]) -> Iterator[Decoded]:
    """Yields SourceInfo, then the audio as 16 kHz mono s16le, then Damage if there was any.

    The first sample is at time 0 of the file (see `_origin_s`). Where audio is missing, according to the file's
    timestamps, there is silence. Media without any decodable audio yield no SourceInfo and no PCM.

    Args:
        media: any file.
        max_duration_s: a file whose header announces more is refused. Others are decoded.
        is_stopped: called at each read; once it returns True, the file seems to end.

    Raises:
        ServiceError: AUDIO_UNDECODABLE or AUDIO_TOO_LARGE.
    """
    with open_media(media, is_stopped) as container:
        stream = _first_audio_stream(container)
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


def _first_audio_stream(container: InputContainer) -> AudioStream:
    if not container.streams.audio:
        raise undecodable("The file has no audio track.")
    stream = container.streams.audio[0]
    if stream.codec_context is None:
        raise undecodable("The file's audio is coded in a way that is not supported.")
    stream.codec_context.thread_count = 1
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all
    return stream


def _may_jump(container: InputContainer) -> bool:
    return bool(container.format.flags & _TS_DISCONT)


def _origin_s(container: InputContainer) -> float:
    """The timestamp that is time 0 of the file.

    Usually 0.0, so that an mp4 whose edit list starts with a pause keeps the pause. In formats whose timestamps may
    start anywhere it is the earliest timestamp in any track, so that audio which starts after the video stays late.
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
    """Raises: ServiceError, AUDIO_UNDECODABLE, if there are too few frames for a file of its format."""
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
