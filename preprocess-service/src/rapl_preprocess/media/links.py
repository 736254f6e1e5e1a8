"""Finds the parts of a file that was made of several files, one behind the other.

FFmpeg's libraries read only the first file of most formats. In a chained Ogg file they stop at a part that has other
channels ("Channel change is not supported").
"""

import re
import struct
from collections.abc import Callable, Iterator
from itertools import chain, islice

from rapl_preprocess.media.containers import Media, MediaPart
from rapl_preprocess.media.headers import mp4, ogg, riff

MAX_LINKS = 1000
"""Most parts that are read. A day of web radio has 400 titles."""
_BLOCK_BYTES = 1 << 20
_HEAD_BYTES = 64
_MAX_CANDIDATES = 100_000
"""Most places that are looked at. A file that is built to have more of them is not searched further."""
_MAX_TRACKS = 1000
"""Most tracks that lie side by side at the beginning of a file."""
# The first bytes of a file, and the whole beginning that has to follow. Formats whose packets can simply be read on,
# such as mp3, are not here.
_BEGINNINGS: dict[bytes, re.Pattern[bytes]] = {
    b"OggS\0\2": re.compile(rb"OggS\x00\x02\x00{8}", re.DOTALL),
    b"fLaC": re.compile(rb"fLaC[\x00\x80]\x00\x00\x22", re.DOTALL),
    b"\x1a\x45\xdf\xa3": re.compile(rb"\x1a\x45\xdf\xa3.{1,40}\x42\x82.(webm|matroska)", re.DOTALL),
    b"RIFF": re.compile(rb"RIFF.{4}WAVE", re.DOTALL),
    b"RIFX": re.compile(rb"RIFX.{4}WAVE", re.DOTALL),
    b"FORM": re.compile(rb"FORM.{4}AIF[FC](COMM|FVER|MARK|INST|NAME|AUTH|COMT)", re.DOTALL),
    b"riff\x2e\x91\xcf\x11": re.compile(rb"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00", re.DOTALL),
    b"caff": re.compile(rb"caff\x00\x01\x00\x00desc\x00\x00\x00\x00\x00\x00\x00\x20", re.DOTALL),
    b"TTA1": re.compile(rb"TTA1[\x01\x02]\x00", re.DOTALL),
    b"FLV\1": re.compile(rb"FLV\x01[\x01\x04\x05]\x00\x00\x00\x09", re.DOTALL),
    b"\x30\x26\xb2\x75": re.compile(rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c", re.DOTALL),
    b"wvpk": re.compile(rb"wvpk.{12}\x00{4}", re.DOTALL),
    b"#!AMR": re.compile(rb"#!AMR(-WB)?\n", re.DOTALL),
}


def links_of(media: Media, is_stopped: Callable[[], bool]) -> list[Media]:
    """Returns the parts of a file in order, each as a file of its own: usually one, at most MAX_LINKS + 1."""
    starts = [0, *islice(_later_starts(media, is_stopped), MAX_LINKS)]
    files = [media]
    if len(starts) > 1:
        files = [MediaPart(media, *place) for place in zip(starts, [*starts[1:], media.size], strict=True)]
    parts = islice(chain.from_iterable(map(riff.each_data_chunk, files)), MAX_LINKS + 1)
    return [riff.with_au_header(part) for part in parts]


def _later_starts(media: Media, is_stopped: Callable[[], bool]) -> Iterator[int]:
    head = media.read(0, _HEAD_BYTES)
    if head[4:8] == b"ftyp":
        yield from mp4.file_starts(media)
        return
    for magic, beginning in _BEGINNINGS.items():
        if head.startswith(magic):
            yield from _starts(media, magic, beginning, is_stopped)


def _starts(media: Media, magic: bytes, beginning: re.Pattern[bytes], is_stopped: Callable[[], bool]) -> Iterator[int]:
    content_end = _content_end(media, 0)
    for position in islice(_places(media, magic, content_end, is_stopped), _MAX_CANDIDATES):
        if position >= content_end and beginning.match(media.read(position, _HEAD_BYTES)):
            yield position
            content_end = _content_end(media, position)


def _content_end(media: Media, start: int) -> int:
    """Returns a position up to which the file that begins at `start` certainly lasts."""
    head = media.read(start, 12)
    part = MediaPart(media, start, media.size)
    if head[:4] == b"FORM":
        return start + 8 + struct.unpack(">I", head[4:8])[0]
    if head[:4] == b"OggS":  # tracks that lie side by side have their first pages one behind the other
        position = 0
        for _ in range(_MAX_TRACKS):
            page = ogg.page_at(part, position)
            if page is None or part.read(position + 5, 1) != b"\2":
                break
            position += page.size
        return start + max(position, 1)
    if head[:4] == b"wvpk":  # blocks of the first samples: one for each pair of channels
        position = 0
        for _ in range(_MAX_TRACKS):
            block = part.read(position, 20)
            if not _BEGINNINGS[b"wvpk"].match(block):
                break
            position += 8 + struct.unpack_from("<I", block, 4)[0]
        return start + position
    layout = riff.wav_layout(part)
    return start + (layout.data_start + (layout.data_bytes or 0) if layout else len(head))


def _places(media: Media, magic: bytes, start: int, is_stopped: Callable[[], bool]) -> Iterator[int]:
    """Yields each position of `magic` from `start` on."""
    while start < media.size and not is_stopped():
        block = media.read(start, _BLOCK_BYTES + len(magic) - 1)
        at = block.find(magic)
        while at >= 0:
            yield start + at
            at = block.find(magic, at + 1)
        start += _BLOCK_BYTES
