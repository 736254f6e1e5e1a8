"""Builds media files box by box, so that they may contain false values."""

import struct
import zlib
from collections.abc import Callable, Iterable

Boxes = list["tuple[bytes, Boxes | bytes]"]
"""Boxes of an mp4 file, side by side: the type of each, and the boxes or bytes in it."""
_PARENT_BOXES = (b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl", b"udta")


def riff(kind: bytes, *chunks: bytes) -> bytes:
    body = kind + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def chunk(name: bytes, body: bytes, claimed_bytes: int | None = None) -> bytes:
    return name + struct.pack("<I", len(body) if claimed_bytes is None else claimed_bytes) + body + bytes(len(body) % 2)


def wav_format(
    tag: int = 1, channels: int = 1, rate_hz: int = 16_000, bits: int = 16, align: int | None = None
) -> bytes:
    block = channels * bits // 8 if align is None else align
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * block % 2**32, block % 2**16, bits))


def box(name: bytes, *content: bytes) -> bytes:
    """A box of an mp4 file."""
    body = b"".join(content)
    return struct.pack(">I", 8 + len(body)) + name + body


def full_box(name: bytes, *content: bytes, version: int = 0) -> bytes:
    return box(name, struct.pack(">I", version << 24), *content)


def mp4_track(
    samples: int = 10,
    sample_bytes: int = 100,
    *,
    codec: bytes = b"sowt",
    sample_duration: int = 1,
    data_reference: bytes | None = None,
    edits: bytes = b"",
) -> bytes:
    """An audio track of 16 kHz; its samples lie at the file's start.

    Args:
        samples: the number of samples that it claims.
        codec: "sowt" is s16 PCM.
        sample_duration: of each, in 1/16,000 s.
        data_reference: names another file that holds the samples.
        edits: an edit list.
    """
    entry = box(codec, bytes(6), struct.pack(">H", 1), bytes(8), struct.pack(">HHHHI", 1, 16, 0, 0, 16_000 << 16))
    table = box(
        b"stbl",
        full_box(b"stsd", struct.pack(">I", 1), entry),
        full_box(b"stts", struct.pack(">III", 1, samples, sample_duration)),
        full_box(b"stsc", struct.pack(">IIII", 1, 1, samples, 1)),
        full_box(b"stsz", struct.pack(">II", sample_bytes, samples)),
        full_box(b"stco", struct.pack(">II", 1, 0)),
    )
    sources = full_box(b"dref", struct.pack(">I", 1), data_reference or full_box(b"url ", version=0)[:-1] + b"\1")
    media = box(
        b"mdia",
        full_box(b"mdhd", struct.pack(">IIIII", 0, 0, 16_000, 16_000, 0)),
        full_box(b"hdlr", bytes(4), b"soun", bytes(13)),
        box(b"minf", full_box(b"smhd", bytes(4)), box(b"dinf", sources), table),
    )
    header = full_box(b"tkhd", struct.pack(">IIIII", 0, 0, 1, 0, 16_000), bytes(60))
    return box(b"trak", header, edits, media)


def mp4(*tracks: bytes, media: bytes = bytes(2_000)) -> bytes:
    header = full_box(b"mvhd", struct.pack(">IIII", 0, 0, 16_000, 16_000), bytes(80))
    return box(b"ftyp", b"isom", bytes(4), b"isom") + box(b"moov", header, *tracks) + box(b"mdat", media)


def parse_boxes(content: bytes) -> Boxes:
    found: Boxes = []
    while content:
        size, kind = struct.unpack_from(">I4s", content)
        body, content = content[8:size], content[size:]
        found.append((kind, parse_boxes(body) if kind in _PARENT_BOXES else body))
    return found


def write_boxes(boxes: Boxes) -> bytes:
    return b"".join(box(kind, body if isinstance(body, bytes) else write_boxes(body)) for kind, body in boxes)


def change_boxes(boxes: Boxes, changes: dict[bytes, Callable[[bytes], bytes]]) -> Boxes:
    """The same boxes; `changes` has a function from the old content to the new one for each type of box."""
    return [
        (kind, changes.get(kind, bytes)(body) if isinstance(body, bytes) else change_boxes(body, changes))
        for kind, body in boxes
    ]


def changed_mp4(media: bytes, **changes: Callable[[bytes], bytes]) -> bytes:
    """An mp4 file with other content in the boxes of these types. It must keep its size where `mdat` lies behind it."""
    return write_boxes(change_boxes(parse_boxes(media), {kind.encode(): change for kind, change in changes.items()}))


def shifted_offsets(stco: bytes, shift: int) -> bytes:
    """The content of an `stco` box, for packets that lie `shift` bytes later in the file."""
    return stco[:8] + b"".join(struct.pack(">I", offset + shift) for (offset,) in struct.iter_unpack(">I", stco[8:]))


def element(number: int, *content: bytes) -> bytes:
    """An element of a Matroska file, with a length of eight bytes."""
    body = b"".join(content)
    identity = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return identity + (len(body) | 1 << 56).to_bytes(8, "big") + body


def mkv(tracks: Iterable[bytes], *, duration_s: float | None = None, clusters: bytes = b"") -> bytes:
    head = element(0x1A45DFA3, element(0x4282, b"matroska"), element(0x4287, b"\4"), element(0x4285, b"\2"))
    length = element(0x4489, struct.pack(">d", duration_s * 1000)) if duration_s is not None else b""
    info = element(0x1549A966, element(0x2AD7B1, (1_000_000).to_bytes(3, "big")), length)
    return head + element(0x18538067, info, element(0x1654AE6B, *tracks), clusters)


def mkv_track(
    number: int, codec: bytes = b"A_PCM/INT/LIT", *content: bytes, rate_hz: float = 16_000.0, channels: int = 1
) -> bytes:
    rate, count = element(0xB5, struct.pack(">d", rate_hz)), element(0x9F, channels.to_bytes(8, "big"))
    audio = element(0xE1, rate, count, element(0x6264, b"\x10"))
    numbers = element(0xD7, number.to_bytes(4, "big")), element(0x73C5, number.to_bytes(4, "big"))
    return element(0xAE, *numbers, element(0x83, b"\2"), element(0x86, codec), audio, *content)


def mkv_cluster(*blocks: bytes) -> bytes:
    return element(0x1F43B675, element(0xE7, b"\0"), *(element(0xA3, b"\x81\0\0\x80" + block) for block in blocks))


def flac(frames: int, *, announced_samples: int = 0) -> bytes:
    """Silence at 8 kHz: each frame of a dozen bytes lasts 8 s."""
    layout = 8_000 << 44 | 15 << 36 | announced_samples  # 16 bits, mono
    info = struct.pack(">HH", 65_535, 65_535) + bytes(6) + layout.to_bytes(8, "big") + bytes(16)
    return b"fLaC" + b"\x80\0\0\x22" + info + b"".join(_flac_frame(number) for number in range(frames))


def _flac_frame(number: int) -> bytes:
    counted = chr(number).encode("utf-8", "surrogatepass")
    header = bytes([0xFF, 0xF8, 0x74, 0x08]) + counted + struct.pack(">H", 65_534)
    frame = header + bytes([_crc(header, 8, 0x07)]) + b"\0\0\0"
    return frame + _crc(frame, 16, 0x8005).to_bytes(2, "big")


def _crc(data: bytes, bits: int, polynomial: int) -> int:
    value = 0
    for byte in data:
        value ^= byte << (bits - 8)
        for _ in range(8):
            value = (value << 1 ^ polynomial if value >> (bits - 1) else value << 1) & ((1 << bits) - 1)
    return value


def id3_with_compressed_frame(inflated_bytes: int) -> bytes:
    """An ID3 tag with one frame, which has this size after decompression."""
    body = _synchsafe(inflated_bytes) + zlib.compress(b"\0" + bytes(inflated_bytes - 1), 9)
    frame = b"TIT2" + _synchsafe(len(body)) + b"\0\x09" + body
    return b"ID3\4\0\0" + _synchsafe(len(frame)) + frame


def _synchsafe(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def ogg_page(serial: int, packet: bytes, *, flags: int = 2, position: int = 0, sequence: int = 0) -> bytes:
    head = b"OggS\0" + struct.pack("<BqIII", flags, position, serial, sequence, 0) + bytes([1, len(packet)])
    page = bytearray(head + packet)
    struct.pack_into("<I", page, 22, _crc(bytes(page), 32, 0x04C11DB7))
    return bytes(page)
