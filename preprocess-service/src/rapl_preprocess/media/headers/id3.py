"""Finds ID3 tags.

Source: https://id3.org/id3v2.4.0-structure, section 3.1, and https://id3.org/ID3v1
"""

import re
from collections.abc import Iterator

from rapl_preprocess.media.containers import Media

_TAG = re.compile(rb"ID3[\x02-\x04]\x00[\x00-\xf0][\x00-\x7f]{4}")
_BLOCK_BYTES = 1 << 20
_MAX_TAGS = 10_000
_HEADER_BYTES, _V1_BYTES = 10, 128


def tag_bytes(media: Media, position: int) -> int:
    """Returns the size of the ID3v2 tag that begins at `position`, or 0 if none does."""
    header = media.read(position, _HEADER_BYTES)
    if not _TAG.match(header):
        return 0
    size = 0
    for byte in header[6:]:
        size = size << 7 | byte
    return _HEADER_BYTES + size


def all_tags_bytes(media: Media) -> int:
    """Returns how many bytes of a file are tags. In joined files they lie everywhere."""
    v1_bytes = _V1_BYTES if media.read(media.size - _V1_BYTES, 3) == b"TAG" else 0
    return v1_bytes + sum(_tags(media))


def _tags(media: Media) -> Iterator[int]:
    position = 0
    for _ in range(_MAX_TAGS):
        block = media.read(position, _BLOCK_BYTES)
        found = _TAG.search(block)
        if found:
            position += found.start()
            yield tag_bytes(media, position)
            position += tag_bytes(media, position)
        elif len(block) < _BLOCK_BYTES:
            return
        else:
            position += _BLOCK_BYTES - _HEADER_BYTES
