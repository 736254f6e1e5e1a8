"""Decodes one audio track of any media to 16 kHz mono PCM."""

from collections.abc import Callable, Iterator
from itertools import islice

from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import EOFError, FFmpegError
from av.packet import Packet
from rapl_protocol.prepared import MediaReport, SourceInfo

from rapl_preprocess.media.containers import BARE_STREAMS, NOT_MEDIA, Media, open_media, too_long, undecodable
from rapl_preprocess.media.damage import DamageRecord
from rapl_preprocess.media.ending import ReadTrack, missing_end
from rapl_preprocess.media.headers import ogg
from rapl_preprocess.media.losses import Losses
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
_MIN_LOST_END_S = 0.1
"""Shortest damage at the end of a file. A stream that was recorded ends in the middle of a packet."""
_MAX_INTERRUPTIONS = 1000
"""Most places of a file at which reading is tried again after an error of the container."""

Decoded = SourceInfo | bytes | MediaReport
Frame = tuple[AudioFrame, float, bool]
"""A frame, the seconds of packets that could not be decoded before it, and whether silence before it replaces audio."""


def decode(
    media: Media, max_duration_s: float, is_stopped: Callable[[], bool], tracks: TrackChoice
) -> Iterator[Decoded]:
    """Yields SourceInfo, then the audio as 16 kHz mono s16le, then MediaReport with what could not be read.

    The first sample is at time 0 of the file (see `_origin_s`). If the timestamps show that audio is missing, silence
    replaces it. A file without decodable audio yields only the report.

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
        damage = DamageRecord()
        losses = Losses(media, container.format.name, float(stream.time_base or 0))
        is_bare, is_ogg = container.format.name in BARE_STREAMS, container.format.name == "ogg"
        max_gap_s = _DISCONTINUITY_S if _may_jump(container) else MAX_SILENCE_S
        origin_s = 0.0 if ogg.has_lost_start(media, stream) else _origin_s(container)
        track = Track(origin_s, max_gap_s, has_clock=not is_bare)
        has_begun = False
        frames = _frames(_packets(container, stream, losses), stream, losses)
        if is_bare:
            frames = _require_several_frames(frames)
        for frame, lost_s, replaces_audio in frames:
            if not has_begun:
                yield _source_info(container, stream, frame)
                has_begun = True
            if is_ogg:  # behind lost pages a longer jump is no new clock
                track.max_gap_s = MAX_SILENCE_S if replaces_audio else _DISCONTINUITY_S
            start_s, silence_s = track.position_s, track.silence_s
            yield from track.add(frame, lost_s)
            silence_s = track.silence_s - silence_s
            if silence_s and replaces_audio:
                damage.add(start_s, start_s + silence_s)
        yield from track.finish()
        read = ReadTrack(container, stream, media, track.origin_s, track.position_s, losses.last_block_end())
        _add_end(damage, losses, read)
        yield MediaReport(damage=damage.places())


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


def _add_end(damage: DamageRecord, losses: Losses, read: ReadTrack) -> None:
    """Adds what is missing behind the last frame: packets that could not be decoded, or an end that is not there."""
    missing = missing_end(read)
    if missing is not None:
        damage.add(missing.start_s, missing.end_s, missing.reason)
    elif losses.lost_s > _MIN_LOST_END_S:
        damage.add(read.position_s, read.position_s + losses.lost_s)


def _frames(packets: Iterator["Packet[AudioStream] | None"], stream: AudioStream, losses: Losses) -> Iterator[Frame]:
    for packet in packets:
        try:
            frames = stream.decode(packet)
        except FFmpegError:
            if packet is not None:
                losses.broken(packet)
            continue
        for frame in frames:
            yield frame, losses.lost_s, losses.is_near_hole
            losses.lost_s = 0.0
        if packet is not None and frames:
            losses.decoded(packet)


def _require_several_frames(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Yields the frames.

    Raises:
        ServiceError: AUDIO_UNDECODABLE if there are fewer than _BARE_STREAM_MIN_FRAMES.
    """
    first = list(islice(frames, _BARE_STREAM_MIN_FRAMES))
    if len(first) < _BARE_STREAM_MIN_FRAMES:
        raise undecodable(NOT_MEDIA)
    yield from first
    yield from frames


def _packets(container: InputContainer, stream: AudioStream, losses: Losses) -> Iterator["Packet[AudioStream] | None"]:
    """Yields the packets and then None, which flushes the decoder.

    If the container cannot be read at some place, reading is tried again behind it. FFmpeg's libraries stop in an Ogg
    file after 64 KiB without a page.
    """
    for _ in range(_MAX_INTERRUPTIONS):
        try:
            for packet in container.demux(stream):
                if packet.size:
                    losses.read(packet)
                    yield packet
            break
        except EOFError:
            break
        except FFmpegError:
            losses.interrupted()
        except IndexError:  # av 18.1 raises it at the end of a file in which a track appeared after the start
            break
    yield None
