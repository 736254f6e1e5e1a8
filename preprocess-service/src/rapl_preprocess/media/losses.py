"""Decides what of a track was lost before each frame, from its packets."""

from av.audio.stream import AudioStream
from av.packet import Packet

from rapl_preprocess.media.containers import BARE_STREAMS, Media
from rapl_preprocess.media.headers import id3, matroska, ogg
from rapl_preprocess.media.track import GAP_S

_TAGS = (b"TAG", b"APETAGEX", b"LYRICSBE")
"""First bytes of tags other than ID3v2. In joined mp3 files they lie between the packets."""
_SUSPECT_S = 10.0
"""Seconds of audio behind a hole in which silence is taken for the hole's. FFmpeg's libraries may count the timestamps
on behind a hole, until they meet the next page of an Ogg file or the next header in an MPEG-TS file."""


class Losses:
    """Counts the audio that was lost since the last decoded frame.

    Args:
        media: the file.
        container: FFmpeg's name of the format.
        tick_s: the time base of the track, in seconds. (That of each packet is a fraction, which is slow.)
    """

    def __init__(self, media: Media, container: str, tick_s: float) -> None:
        self._media = media
        self._tick_s = tick_s
        self._is_bare = container in BARE_STREAMS
        self._is_ogg = container == "ogg"
        self._is_flac = container == "flac"
        self._is_matroska = container.startswith("matroska")
        self._last_position: int | None = None
        self._last_block: int | None = None
        """Position of the content of the last block of a Matroska file."""
        self._last_end_s = 0.0
        """Time at which its packet ends."""
        self._sequence: int | None = None
        self._suspect_s = 0.0
        self._has_begun = False
        self._tag_end = 0
        self._good_bytes, self._good_s = 0, 0.0
        self.lost_s = 0.0
        """Duration of the packets that could not be decoded. A packet without a duration counts as 0."""

    def read(self, packet: "Packet[AudioStream]") -> None:
        """Looks at the place of a packet before it is decoded."""
        if packet.pos is None or packet.pos == self._last_position:
            return
        self._last_position = packet.pos
        if self._is_ogg:
            self._follow_pages(packet.pos)
        elif self._is_matroska:
            self._follow_blocks(packet, packet.pos)

    def decoded(self, packet: "Packet[AudioStream]") -> None:
        """Counts a packet that gave frames."""
        self._has_begun = True
        if self._is_bare:
            self._good_bytes += packet.size
            self._good_s += self._duration_s(packet)
        if self._suspect_s > 0:
            self._suspect_s -= self._duration_s(packet)

    def broken(self, packet: "Packet[AudioStream]") -> None:
        """Counts a packet that could not be decoded."""
        if not packet.size or (self._is_bare and (not self._has_begun or self._is_tag(packet))):
            return
        self.lost_s += self._estimated_s(packet) if self._is_bare else self._duration_s(packet)
        self.interrupted()

    def interrupted(self) -> None:
        """Notes a place at which something could not be read."""
        self._suspect_s = _SUSPECT_S

    @property
    def is_near_hole(self) -> bool:
        """Whether silence that is put before a frame now replaces lost audio, and is no pause of the file.

        In a FLAC file each frame has its number, and there are no pauses.
        """
        return self._suspect_s > 0 or self._is_flac

    def last_block_end(self) -> int | None:
        """Returns the position behind the last block of a Matroska file; None for other files."""
        return None if self._last_block is None else matroska.block_end(self._media, self._last_block)

    def _follow_pages(self, position: int) -> None:
        page = ogg.page_at(self._media, position)
        if page is None:
            return
        is_hole = (
            ogg.is_start_damaged(self._media, position)
            if self._sequence is None
            else page.sequence > self._sequence + 1
        )
        if is_hole:
            self.interrupted()
        self._sequence = page.sequence

    def _follow_blocks(self, packet: "Packet[AudioStream]", position: int) -> None:
        start_s = (packet.pts or 0) * self._tick_s
        if self._last_block is not None and start_s > self._last_end_s + GAP_S:
            last_end = self.last_block_end()
            if last_end is not None and matroska.is_hole(self._media, last_end, position):
                self.interrupted()
        self._last_block, self._last_end_s = position, start_s + self._duration_s(packet)

    def _is_tag(self, packet: "Packet[AudioStream]") -> bool:
        position = packet.pos or 0
        if size := id3.tag_bytes(self._media, position):
            self._tag_end = position + size
        return position < self._tag_end or self._media.read(position, 8).startswith(_TAGS)

    def _estimated_s(self, packet: "Packet[AudioStream]") -> float:
        """Returns how long a broken packet of a bare stream is. It contains everything up to the next good packet."""
        if not self._good_bytes:
            return self._duration_s(packet)
        return max(self._duration_s(packet), packet.size * self._good_s / self._good_bytes)

    def _duration_s(self, packet: "Packet[AudioStream]") -> float:
        return (packet.duration or 0) * self._tick_s
