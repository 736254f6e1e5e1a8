"""Reads the headers of WAV files, for what FFmpeg's libraries do not tell or read.

Source: http://soundfile.sapp.org/doc/WaveFormat/
"""

import struct
from dataclasses import dataclass

from rapl_preprocess.media.containers import Media, MediaPart

_MAX_CHUNKS = 1000
_UNKNOWN_BYTES = 0x7F000000
"""Programs that write to a pipe do not know the length, and write 0 or a value from here on: ffmpeg 0xFFFFFFFF, sox
0x7FFFF000, arecord 0x80000000."""
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
# Encodings of AU files. Source: https://pubs.opengroup.org/external/auformat.html
_AU_ENCODINGS = {(_PCM, 16): 3, (_PCM, 24): 4, (_PCM, 32): 5, (_FLOAT, 32): 6, (_FLOAT, 64): 7}


@dataclass(frozen=True, slots=True)
class WavLayout:
    encoding: tuple[int, int]
    """Format tag and bits of a sample."""
    channels: int
    rate_hz: int
    bytes_per_s: int
    data_start: int
    data_bytes: int | None
    """Size of the samples according to the header; None if the writer did not know it."""

    def end(self, media: Media) -> int:
        """Returns the position behind the samples, which is within the file."""
        return media.size if self.data_bytes is None else min(media.size, self.data_start + self.data_bytes)


def wav_layout(media: Media) -> WavLayout | None:
    """Returns where the samples of a RIFF or RIFX file lie; None if it is another file or its header is broken."""
    start = media.read(0, 12)
    if start[:4] not in (b"RIFF", b"RIFX") or start[8:] != b"WAVE":
        return None
    order = ">" if start[:4] == b"RIFX" else "<"
    position, fmt = 12, b""
    for _ in range(_MAX_CHUNKS):
        header = media.read(position, 8)
        if len(header) < 8:
            return None
        size = struct.unpack(f"{order}I", header[4:])[0]
        if header[:4] == b"data":
            return _layout(order, fmt, position + 8, size) if len(fmt) >= 16 else None
        if header[:4] == b"fmt ":
            fmt = media.read(position + 8, min(size, 40))
        position += 8 + size + size % 2
    return None


def _layout(order: str, fmt: bytes, data_start: int, data_bytes: int) -> WavLayout:
    tag, channels, rate_hz, bytes_per_s, _, bits = struct.unpack_from(f"{order}HHIIHH", fmt)
    if tag == _EXTENSIBLE and len(fmt) >= 28:
        tag = struct.unpack_from(f"{order}I", fmt, 24)[0]
    is_known = 0 < data_bytes < _UNKNOWN_BYTES
    return WavLayout((tag, bits), channels, rate_hz, bytes_per_s, data_start, data_bytes if is_known else None)


def missing_s(media: Media) -> float:
    """Returns the seconds by which the samples in the header of a WAV file are more than those in the file."""
    layout = wav_layout(media)
    if layout is None or layout.data_bytes is None or not layout.bytes_per_s:
        return 0.0
    return max(0, layout.data_start + layout.data_bytes - media.size) / layout.bytes_per_s


def with_au_header(media: Media) -> Media:
    """Returns the file; if it is RIFX, a WAV file with big-endian samples, as an AU file with the same samples.

    FFmpeg's libraries read the header of RIFX, but take its samples for little-endian ones. Samples of 8 bits have no
    byte order, so such a file is returned as it is.
    """
    layout = wav_layout(media) if media.read(0, 4) == b"RIFX" else None
    encoding = _AU_ENCODINGS.get(layout.encoding) if layout else None
    if layout is None or encoding is None:
        return media
    size = layout.end(media) - layout.data_start
    header = struct.pack(">4sIIIII", b".snd", 24, size, encoding, layout.rate_hz, layout.channels)
    return MediaPart(media, layout.data_start, layout.data_start + size, prefix=header)
