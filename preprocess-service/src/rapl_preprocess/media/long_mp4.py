"""Reads the packets of a long mp4 without an index of them in memory.

FFmpeg's libraries keep 24 bytes and more of each packet, and copy them all where an edit list applies: 100 MB for ten
hours of 44.1 kHz AAC. So they are shown a file whose tables end after the first packets, open it, skip the encoder's
delay and give the stream and its decoder. The packets behind those are read by the file's own tables, as they
are needed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING, cast

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet

from rapl_preprocess.media.containers import Media, undecodable
from rapl_preprocess.media.mp4_boxes import Unusual
from rapl_preprocess.media.mp4_samples import Patch, Sample, SampleTable
from rapl_preprocess.media.mp4_tracks import Edit, Movie, Mp4Track

if TYPE_CHECKING:
    AudioPacket = Packet[AudioStream]

LONG_PACKETS = 4096
"""From so many packets on a file is long: 95 s of AAC. An index of them takes a fifth of a megabyte."""
HEAD_PACKETS = 1024
"""So many at most FFmpeg's libraries see."""
_ENTRIES = (b"mp4a", b"alac", b"Opus", b"fLaC")
_CODECS = ("aac", "alac", "opus", "libopus", "flac")
"""Whose packets lie in the file as the decoder takes them."""
_ROLL_S = 1
"""So much in front of an edit's start FFmpeg's libraries read too, for decoders need a packet or two to get going."""
_PLAIN_DURATIONS = range(2, 1 << 31)
"""Others FFmpeg's libraries take for PCM, or for negative."""


class _Shortened:
    """Media that end, as far as the tables in them say, after the first packets."""

    def __init__(self, media: Media, patches: list[Patch]) -> None:
        self._media = media
        self._patches = patches
        self.size = media.size

    def read(self, position: int, size: int) -> bytes:
        piece = bytearray(self._media.read(position, size))
        for at, patch in self._patches:
            start, end = max(at, position), min(at + len(patch), position + len(piece))
            if start < end:
                piece[start - position : end - position] = patch[start - at : end - at]
        return bytes(piece)


@dataclass(frozen=True, slots=True)
class LongMp4:
    """A file with many packets of audio, in the plain form that nearly all have."""

    media: Media
    head: Media
    """The same file, which seems to end after the first packets."""
    stream_index: int
    """Of the first audio track."""
    time_base: Fraction
    table: SampleTable
    head_packets: int
    end: int | None
    """The packet that reaches this time is the last one that sounds, as the edit list has it."""

    def suits(self, stream: AudioStream) -> bool:
        """Whether the stream of the head is what was expected."""
        codec = stream.codec_context.name
        return (stream.index, stream.time_base) == (self.stream_index, self.time_base) and codec in _CODECS

    def packets(
        self, container: InputContainer, stream: AudioStream, is_stopped: Callable[[], bool]
    ) -> Iterator["AudioPacket"]:
        """Yields those of the head as they come out of `container`, the others, and one that ends the stream.

        Raises:
            ServiceError: AUDIO_UNDECODABLE where the two do not meet.
        """
        ends: list[AudioPacket] = []
        last: AudioPacket | None = None
        for packet in container.demux(stream):
            if packet.dts is None:
                ends.append(packet)
                continue
            yield packet
            last = packet
        rest = islice(self.table.samples(), self.head_packets - 1, None)
        joint = next(rest)
        if joint.position + joint.size <= self.media.size:
            if last is None or (last.pos, last.size) != (joint.position, joint.size):
                raise undecodable("The file's index contradicts itself.")
            yield from self._rest(rest, (last.dts or 0) - joint.time, is_stopped)
        yield from ends

    def _rest(self, samples: Iterator[Sample], shift: int, is_stopped: Callable[[], bool]) -> Iterator["AudioPacket"]:
        """Like FFmpeg's libraries it ends at the first packet of which nothing is there."""
        for sample in samples:
            size = min(sample.size, max(0, self.media.size - sample.position))
            if is_stopped() or (sample.size and not size):
                return
            if size:
                packet = cast("AudioPacket", Packet(self.media.read(sample.position, size)))
                packet.time_base, packet.duration = self.time_base, sample.duration
                packet.pts = packet.dts = sample.time + shift
                yield packet
            if self._is_end(sample):
                return

    def _is_end(self, sample: Sample) -> bool:
        return self.end is not None and sample.time + sample.duration >= self.end


def long_mp4(media: Media) -> LongMp4 | None:
    """The file as one that is read by its own tables; None where FFmpeg's libraries do that as well or better.

    Those are all files that are short, are no mp4, come in fragments, are encrypted, have several edits or begin in
    the middle of what they hold, or contradict themselves.
    """
    if media.read(4, 4) != b"ftyp":
        return None
    try:
        return _read(media)
    except Unusual:
        return None


def _read(media: Media) -> LongMp4:
    tracks = Movie.of(media).tracks
    index = next((i for i, track in enumerate(tracks) if track.is_audio), None)
    if index is None:
        raise Unusual
    track = tracks[index]
    samples, edit = track.samples(), track.edit()
    if samples.sizes.rows < LONG_PACKETS or samples.has_delays or track.entry not in _ENTRIES:
        raise Unusual
    if any(duration not in _PLAIN_DURATIONS for _, duration in samples.durations):
        raise Unusual
    head_packets, patches = samples.shortened(HEAD_PACKETS)
    if edit:
        _require_start_within_head(edit, samples, head_packets, track.clock_hz)
    patches += [patch for other in tracks if other is not track for patch in _patches(other)]
    return LongMp4(
        media=media,
        head=_Shortened(media, patches),
        stream_index=index,
        time_base=Fraction(1, track.clock_hz),
        table=samples,
        head_packets=head_packets,
        end=edit.end if edit else None,
    )


def _require_start_within_head(edit: Edit, samples: SampleTable, head_packets: int, clock_hz: int) -> None:
    last = next(islice(samples.samples(), head_packets - 1, None))
    if edit.start + _ROLL_S * clock_hz > last.time or edit.end <= last.time + last.duration:
        raise Unusual


def _patches(track: Mp4Track) -> list[Patch]:
    """What shortens a track that is not listened to; one that is stored otherwise stays as it is."""
    try:
        samples = track.samples()
        return samples.shortened(HEAD_PACKETS)[1] if samples.sizes.rows > HEAD_PACKETS else []
    except Unusual:
        return []
