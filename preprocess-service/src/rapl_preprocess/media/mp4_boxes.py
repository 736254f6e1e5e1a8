"""Finds the boxes of an mp4 file, and the rows of its tables, in the file itself: nothing of it is kept in memory.

Source: ISO/IEC 14496-12, 4.2 (boxes) and 8.5 to 8.7 (what is in them).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rapl_preprocess.media.containers import Media

MAX_BOXES = 1024
"""Side by side; a film has a few dozen. A box takes 8 bytes, so that a file could hold millions."""
_MAY_COME_AGAIN = (b"trak", b"udta", b"free", b"skip", b"uuid", b"sbgp", b"sgpd", b"subs")
_ROWS_AT_ONCE = 4096
_ROWS = struct.Struct(">I")


class Unusual(Exception):
    """Not the plain file that is read here; FFmpeg's libraries may be able to."""


@dataclass(frozen=True, slots=True)
class Box:
    """Where a box's content lies in the file, in bytes; it ends within the file."""

    kind: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of numbers, as many as the box has room for at most."""

    media: Media
    count_at: int
    """Where in the file their number is written; the rows follow."""
    rows: int
    form: struct.Struct

    @property
    def start(self) -> int:
        return self.count_at + _ROWS.size

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        for row in range(0, self.rows, _ROWS_AT_ONCE):
            size = min(_ROWS_AT_ONCE, self.rows - row) * self.form.size
            yield from self.form.iter_unpack(self.media.read(self.start + row * self.form.size, size))


def boxes(media: Media, start: int, end: int) -> Iterator[Box]:
    """Yields the boxes that lie side by side from `start` to `end`.

    Raises:
        Unusual: one does not end where it should, or they are too many.
    """
    for _ in range(MAX_BOXES):
        if start == end:
            return
        head = media.read(start, min(16, end - start))
        if len(head) < 8:
            raise Unusual
        size, header_bytes = int.from_bytes(head[:4], "big"), 8
        if size == 1:
            size, header_bytes = int.from_bytes(head[8:], "big"), 16
        elif size == 0:  # to the end of the file
            size = end - start
        if not header_bytes <= size <= end - start:
            raise Unusual
        yield Box(head[4:8], start + header_bytes, start + size)
        start += size
    raise Unusual


def children(media: Media, box: Box) -> dict[bytes, Box]:
    """The boxes within `box`, by kind.

    Raises:
        Unusual: two are of one kind.
    """
    found: dict[bytes, Box] = {}
    for child in boxes(media, box.start, box.end):
        if child.kind in found and child.kind not in _MAY_COME_AGAIN:
            raise Unusual
        found[child.kind] = child
    return found


def descendant(media: Media, box: Box, *kinds: bytes) -> Box:
    """The box to which these steps lead.

    Raises:
        Unusual: there is none.
    """
    for kind in kinds:
        found = children(media, box).get(kind)
        if found is None:
            raise Unusual
        box = found
    return box


def numbers(media: Media, box: Box, form: str, offset: int = 0) -> tuple[Any, ...]:
    """The numbers at `offset` of a box.

    Raises:
        Unusual: it is too short.
    """
    size = struct.calcsize(form)
    if box.start + offset + size > box.end:
        raise Unusual
    return struct.unpack(form, media.read(box.start + offset, size))


def table(media: Media, box: Box, form: str, count_offset: int = 4) -> Table:
    """The rows of a box that has their number at `count_offset`.

    Raises:
        Unusual: it says that there are more than it has room for.
    """
    [rows] = numbers(media, box, ">I", count_offset)
    found = Table(media, box.start + count_offset, rows, struct.Struct(form))
    if found.start + rows * found.form.size > box.end:
        raise Unusual
    return found
