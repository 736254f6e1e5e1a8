"""Reads the elements of Matroska and WebM files, to tell holes from pauses.

Source: https://www.rfc-editor.org/rfc/rfc8794 and https://www.rfc-editor.org/rfc/rfc9559#section-5.1
"""

from rapl_preprocess.media.containers import Media

_SEGMENT = b"\x18\x53\x80\x67"
_BLOCKS = (b"\xa3", b"\xa1")
_CLUSTER = b"\x1f\x43\xb6\x75"
# Elements that may lie between two blocks: blocks, what belongs to a block or a cluster, and what belongs to the file.
_BETWEEN_BLOCKS = frozenset(
    bytes.fromhex(number)
    for number in (
        *("a3", "a0", "a1", "9b", "fb", "a4", "75a1", "75a2", "fd", "8e"),
        *("1f43b675", "e7", "a7", "ab", "5854", "ec", "bf"),
        *("1c53bb6b", "1254c367", "114d9b74", "1941a469", "1043a770"),
    )
)
_MAX_ELEMENTS = 10_000
"""Most elements between two blocks of the sound: minutes of pictures."""


def block_end(media: Media, position: int) -> int | None:
    """Returns the end of the block whose content begins at `position`; None if no block begins there.

    The size of a packet is no help: a block may hold several, or less than its packet.
    """
    for width in range(1, min(9, position)):
        header = media.read(position - width - 1, width + 1)
        if header[:1] in _BLOCKS and _width(header, 1, 8) == width:
            return position + _number(header[1:])
    return None


def is_hole(media: Media, start: int, end: int) -> bool:
    """Returns whether something other than elements lies between the end of a block and the content of a later one."""
    position = start
    for _ in range(_MAX_ELEMENTS):
        if position >= end:
            return False
        header = media.read(position, 12)
        number_bytes = _width(header, 0, 4)
        size_bytes = _width(header, number_bytes, 8)
        number = header[:number_bytes]
        if not number_bytes or not size_bytes or number not in _BETWEEN_BLOCKS:
            return True
        size = 0 if number == _CLUSTER else _number(header[number_bytes : number_bytes + size_bytes])
        position += number_bytes + size_bytes + size
    return False


def is_cut_off(media: Media) -> bool:
    """Returns whether the file is shorter than its segment. Live files do not tell the segment's size."""
    head = media.read(0, 1 << 10)
    at = head.find(_SEGMENT) + len(_SEGMENT)
    width = _width(head, at, 8) if at >= len(_SEGMENT) else 0
    if not width:
        return False
    size = _number(head[at : at + width])
    return size != (1 << 7 * width) - 1 and at + width + size > media.size


def _width(content: bytes, position: int, most: int) -> int:
    """Returns how many bytes the number at `position` has, or 0 if there is none."""
    if position >= len(content) or not content[position]:
        return 0
    width = 9 - content[position].bit_length()
    return width if width <= most else 0


def _number(content: bytes) -> int:
    """Returns the number in `content`, which begins with a bit that tells its width."""
    return int.from_bytes(content, "big") & (1 << 7 * len(content)) - 1
