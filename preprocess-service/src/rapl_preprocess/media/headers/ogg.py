"""Reads page headers of Ogg files, to tell lost pages from pauses.

Source: https://www.rfc-editor.org/rfc/rfc3533#section-6
"""

import struct
from dataclasses import dataclass

from av.audio.stream import AudioStream

from rapl_preprocess.media.containers import Media

_HEADER = struct.Struct("<4sBBqIIIB")
BLOCK_BYTES = 1 << 16
"""Bytes at the end of a file in which FFmpeg's libraries look for the last page. A page can be as long."""
_MAX_LOST_RATIO = 4
"""Most times by which lost audio may be longer than its bytes are at the bit rate of the rest."""
_MAX_WALK = 1000
"""Most pages in front of the first audio. Vorbis files with large pictures have a hundred."""


@dataclass(frozen=True, slots=True)
class Page:
    size: int
    granule: int
    """The time of its last packet in the codec's units; -1 if no packet ends in it, 0 in pages of codec headers."""
    sequence: int
    """Number of the page in its stream."""


def page_at(media: Media, position: int) -> Page | None:
    """Returns the page that begins at `position`, or None if none does."""
    header = media.read(position, _HEADER.size + 255)
    if len(header) < _HEADER.size or not header.startswith(b"OggS\0"):
        return None
    _, _, _, granule, _, sequence, _, segments = _HEADER.unpack_from(header)
    lengths = header[_HEADER.size : _HEADER.size + segments]
    return Page(_HEADER.size + segments + sum(lengths), granule, sequence)


def is_start_damaged(media: Media, first_audio: int) -> bool:
    """Returns whether pages with audio are missing or damaged before the page at `first_audio`.

    In an intact file only pages with codec headers lie there, also if the file is the middle of a live stream.
    """
    position = 0
    for _ in range(_MAX_WALK):
        if position >= first_audio:
            return position > first_audio
        page = page_at(media, position)
        if page is None or page.granule > 0:
            return True
        position += page.size
    return False


def has_lost_start(media: Media, stream: AudioStream) -> bool:
    """Returns whether the first timestamp of an Ogg file is late because the pages before it are damaged.

    What is lost must be about as long as its bytes are at the bit rate of the rest. Otherwise the file is the middle of
    a live stream, whose timestamps may start anywhere.
    """
    index = stream.index_entries
    if media.read(0, 4) != b"OggS" or not stream.start_time or not stream.duration or not len(index):
        return False
    first = index[0].pos
    lost = stream.duration * first / max(1, media.size - first)
    return stream.start_time < _MAX_LOST_RATIO * lost and is_start_damaged(media, first)


@dataclass(frozen=True, slots=True)
class LastPage:
    end: int
    """Position behind the page."""
    granule: int
    is_cut_off: bool
    """Whether the file ends in the middle of the page."""


def last_page(media: Media) -> LastPage | None:
    """Returns the last page of a file, whole or not; None if there is none."""
    end = media.size
    while end > 0:
        start = max(0, end - BLOCK_BYTES)
        found = media.read(start, end - start).rfind(b"OggS\0")
        if found >= 0:
            page = page_at(media, start + found)
            page_end = start + found + page.size if page else media.size + 1
            return LastPage(min(page_end, media.size), page.granule if page else -1, page_end > media.size)
        end = start + 4 if start else 0
    return None
