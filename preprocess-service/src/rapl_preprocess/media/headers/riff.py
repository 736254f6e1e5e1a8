"""Reads the headers of WAV files, for what FFmpeg's libraries do not tell or read.

Source: http://soundfile.sapp.org/doc/WaveFormat/
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from rapl_preprocess.media.containers import Media, MediaPart

_MAX_CHUNKS = 1000
_MAX_FORMAT_BYTES = 1024
UNKNOWN_BYTES = 0x7F000000
"""Programs that write to a pipe do not know the length, and write 0 or a value from here on: ffmpeg 0xFFFFFFFF, sox
0x7FFFF000, arecord 0x80000000."""
_W64_CHUNK, _CAF_CHUNK = struct.Struct("<16sq"), struct.Struct(">4sq")
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
# Encodings of AU files. Source: https://pubs.opengroup.org/external/auformat.html
_AU_ENCODINGS = {(_PCM, 16): 3, (_PCM, 24): 4, (_PCM, 32): 5, (_FLOAT, 32): 6, (_FLOAT, 64): 7}


@dataclass(frozen=True, slots=True)
class WavLayout:
    order: str
    """Byte order, as in `struct`."""
    fmt: bytes
    """Content of the format chunk."""
    data_start: int
    data_bytes: int | None
    """Size of the samples according to the header; None if the writer did not know it."""

    def end(self, media: Media) -> int:
        """Returns the position behind the samples, which is within the file."""
        return media.size if self.data_bytes is None else min(media.size, self.data_start + self.data_bytes)


def wav_layout(media: Media) -> WavLayout | None:
    """Returns where the first samples of a RIFF or RIFX file lie; None for other files and broken headers."""
    start = media.read(0, 12)
    if start[:4] not in (b"RIFF", b"RIFX") or start[8:] != b"WAVE":
        return None
    order = ">" if start[:4] == b"RIFX" else "<"
    fmt = b""
    for name, position, size in _chunks(media, order, 12):
        if name == b"data":
            data_bytes = size if 0 < size < UNKNOWN_BYTES else None
            return WavLayout(order, fmt, position, data_bytes) if len(fmt) >= 16 else None
        if name == b"fmt ":
            fmt = media.read(position, min(size, _MAX_FORMAT_BYTES))
    return None


def _chunks(media: Media, order: str, position: int) -> Iterator[tuple[bytes, int, int]]:
    """Yields the name of each chunk, the position of its content and the content's size."""
    for _ in range(_MAX_CHUNKS):
        header = media.read(position, 8)
        if len(header) < 8:
            return
        size = struct.unpack(f"{order}I", header[4:])[0]
        yield header[:4], position + 8, size
        position += 8 + size + size % 2


def each_data_chunk(media: Media) -> Iterator[Media]:
    """Yields the file, and then a file for each further chunk of samples in a WAV file, with the same format.

    FFmpeg's libraries read the first chunk of samples only.
    """
    yield media
    layout = wav_layout(media)
    if layout is None or layout.data_bytes is None:
        return
    fmt = layout.fmt + bytes(len(layout.fmt) % 2)
    header = media.read(0, 12) + b"fmt " + struct.pack(f"{layout.order}I", len(layout.fmt)) + fmt
    end = layout.data_start + layout.data_bytes
    for name, position, size in _chunks(media, layout.order, end + end % 2):
        if name == b"data":
            yield MediaPart(media, position - 8, min(media.size, position + size), prefix=header)


def announced_ratio(media: Media) -> float:
    """Returns by which factor a WAV, W64 or CAF file announces more samples than it has; 1.0 if it does not."""
    start, announced = _announced_samples(media)
    present = media.size - start
    return announced / present if announced > present > 0 else 1.0


def _announced_samples(media: Media) -> tuple[int, int]:
    """Returns the position of the samples, and their size in bytes according to the header; 0 if that is not known."""
    head = media.read(0, 4)
    if head in (b"riff", b"caff"):
        return _announced_in_wide_chunks(media, is_w64=head == b"riff")
    layout = wav_layout(media)
    return (layout.data_start, layout.data_bytes or 0) if layout else (0, 0)


def _announced_in_wide_chunks(media: Media, *, is_w64: bool) -> tuple[int, int]:
    """The sizes of chunks in W64 and CAF have 64 bits. In W64 they count the header and are rounded up to 8."""
    header, position = (_W64_CHUNK, 40) if is_w64 else (_CAF_CHUNK, 8)
    for _ in range(_MAX_CHUNKS):
        found = media.read(position, header.size)
        if len(found) < header.size:
            break
        name, size = header.unpack(found)
        size -= header.size if is_w64 else 0
        if name.startswith(b"data"):
            return position + header.size, size if 0 < size < 1 << 48 else 0
        if size < 0:
            break
        position += header.size + (-(-size // 8) * 8 if is_w64 else size)
    return 0, 0


def with_au_header(media: Media) -> Media:
    """Returns the file; if it is RIFX, a WAV file with big-endian samples, as an AU file with the same samples.

    FFmpeg's libraries read the header of RIFX, but take its samples for little-endian ones. Samples of 8 bits have no
    byte order, so such a file is returned as it is.
    """
    layout = wav_layout(media) if media.read(0, 4) == b"RIFX" else None
    if layout is None:
        return media
    tag, channels, rate_hz, _, _, bits = struct.unpack_from(">HHIIHH", layout.fmt)
    if tag == _EXTENSIBLE and len(layout.fmt) >= 28:
        tag = struct.unpack_from(">I", layout.fmt, 24)[0]
    encoding = _AU_ENCODINGS.get((tag, bits))
    if encoding is None:
        return media
    size = layout.end(media) - layout.data_start
    header = struct.pack(">4sIIIII", b".snd", 24, size, encoding, rate_hz, channels)
    return MediaPart(media, layout.data_start, layout.data_start + size, prefix=header)
