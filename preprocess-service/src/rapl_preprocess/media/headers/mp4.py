"""Reads the outermost boxes of mp4 files.

Source: ISO/IEC 14496-12, section 4.2
"""

import struct
from collections.abc import Iterator

from rapl_preprocess.media.containers import Media

_MAX_BOXES = 1_000_000
"""Most boxes. A day in fragments of a second has 170,000."""


def boxes(media: Media) -> Iterator[tuple[int, bytes, int]]:
    """Yields position, type and size of each box, up to the end or up to bytes that are no box.

    The last box may be longer than the file.
    """
    position = 0
    for _ in range(_MAX_BOXES):
        header = media.read(position, 16)
        if len(header) < 8:
            return
        size, kind = struct.unpack_from(">I4s", header)
        if size == 1 and len(header) == 16:
            size = struct.unpack_from(">Q", header, 8)[0]
        if size == 0 and kind == b"mdat":  # it lasts to the end
            size = media.size - position
        if size < 8 or not kind.isalnum():
            return
        yield position, kind, size
        position += size


def file_starts(media: Media) -> Iterator[int]:
    """Yields where other files begin behind the first: each `ftyp` box between two `moov` boxes."""
    begun, has_index = 0, False
    for position, kind, _ in boxes(media):
        if kind == b"ftyp" and has_index:
            begun, has_index = position, False
        if kind == b"moov":
            if begun:
                yield begun
            begun, has_index = 0, True


def fragments_end(media: Media) -> int | None:
    """Returns where the boxes of a file in fragments end, which may be behind the file's end; None for other files."""
    end, is_fragmented = 0, False
    for position, kind, size in boxes(media):
        end, is_fragmented = position + size, is_fragmented or kind == b"moof"
    return end if is_fragmented else None
