"""A long mp4 is read by its own tables, and gives sample for sample what FFmpeg's libraries make of it."""

import io
import struct
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import av
import numpy as np
import pytest
from rapl_preprocess.media.containers import MediaInMemory, open_media
from rapl_preprocess.media.long_mp4 import LONG_PACKETS, long_mp4
from rapl_protocol.errors import ServiceError

Prepare = Callable[[bytes], Awaitable[Any]]
Content = list["tuple[bytes, Content | bytes]"]
"""Boxes side by side: what each is called, and what is in it."""

PARENTS = (b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl", b"udta")
STBL = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
LONG_S = 99


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    """Noise that swells and fades: no two packets are alike. float32, (samples,), 44.1 kHz."""
    times = np.arange(LONG_S * 44_100, dtype=np.float32) / 44_100
    noise = np.random.default_rng(7).standard_normal(len(times), np.float32)
    return 0.1 * noise * np.sin(times) ** 2


@pytest.fixture(scope="module")
def _encoded() -> dict[tuple, bytes]:
    return {}


@pytest.fixture
def m4a(encode, sound: np.ndarray, _encoded: dict) -> Callable[..., bytes]:
    """Encodes the sound; each form of it once."""

    def make(container: str = "ipod", codec: str = "aac", rate_hz: int = 44_100, **how: Any) -> bytes:
        key = (container, codec, rate_hz, *how.items())
        if key not in _encoded:
            _encoded[key] = encode(container, codec, rate_hz, "mono", sound, **how)
        return _encoded[key]

    return make


async def assert_the_same(prepare: Prepare, media: bytes) -> None:
    ours, theirs = await prepare(media), await prepare(left_to_libav(media))

    assert long_mp4(MediaInMemory(media)) is not None
    assert long_mp4(MediaInMemory(left_to_libav(media))) is None
    assert ours.source == theirs.source
    assert [segment.start_s for segment in ours.segments] == [segment.start_s for segment in theirs.segments]
    assert b"".join(s.audio.pcm for s in ours.segments) == b"".join(s.audio.pcm for s in theirs.segments)
    assert ours.duration_s == theirs.duration_s > 0.4 * LONG_S


@pytest.mark.parametrize(
    ("container", "codec", "rate_hz", "times"),
    [("ipod", "aac", 44_100, 1), ("mp4", "libopus", 48_000, 1), ("mp4", "flac", 44_100, 5), ("mov", "alac", 44_100, 5)],
)
async def test_each_codec_gives_the_same(prepare: Prepare, m4a, container: str, codec: str, rate_hz: int, times: int):
    media = m4a(container, codec, rate_hz)

    await assert_the_same(prepare, media if times == 1 else repeated(media, container, times))


async def test_a_film_beside_the_sound_changes_nothing(prepare: Prepare, m4a):
    await assert_the_same(prepare, m4a("mp4", video="mpeg4"))


async def test_a_track_that_starts_late_changes_nothing(prepare: Prepare, m4a):
    await assert_the_same(prepare, m4a("mp4", start_s=2.0))


async def test_an_index_in_front_of_the_sound_changes_nothing(prepare: Prepare, m4a):
    content = parsed(m4a())
    moved = {b"stco": lambda stco: with_offsets(stco, len(written(content[-1:])))}
    [moov] = replaced(content[-1:], moved)

    await assert_the_same(prepare, written([content[0], moov, *content[1:-1]]))


async def test_places_of_64_bits_change_nothing(prepare: Prepare, m4a):
    def widened(stco: bytes) -> bytes:
        return stco[:8] + b"".join(struct.pack(">Q", *place) for place in struct.iter_unpack(">I", stco[8:]))

    content = replaced(parsed(m4a()), {b"stco": widened})

    await assert_the_same(prepare, written(content).replace(b"stco", b"co64"))


@pytest.mark.parametrize("has_edits", [True, False])
async def test_the_encoders_delay_as_itunes_writes_it_changes_nothing(prepare: Prepare, m4a, has_edits: bool):
    text = b" 00000000 00000840 00000000 0000000000429B00 00000000 00000000"
    value = b"".join(
        box(kind, bytes(4) + body)
        for kind, body in ((b"mean", b"com.apple.iTunes"), (b"name", b"iTunSMPB"), (b"data", bytes(8) + text))
    )
    kind = box(b"hdlr", bytes(8) + b"mdirappl" + bytes(9))
    tags = box(b"udta", box(b"meta", bytes(4) + kind + box(b"ilst", box(b"----", value))))
    media = added_to_moov(m4a().replace(b"udta", b"free"), tags)

    await assert_the_same(prepare, media if has_edits else media.replace(b"edts", b"free"))


async def test_an_edit_that_ends_in_the_middle_ends_the_sound_there(prepare: Prepare, m4a):
    def halved(elst: bytes) -> bytes:
        return elst[:8] + struct.pack(">I", LONG_S * 500) + elst[12:]

    media = written(replaced(parsed(m4a()), {b"elst": halved}))

    await assert_the_same(prepare, media)
    assert (await prepare(media)).duration_s == pytest.approx(LONG_S / 2, abs=0.1)


async def test_packets_of_many_lengths_change_nothing(prepare: Prepare, m4a):
    def in_rows(stts: bytes) -> bytes:
        rows = list(struct.iter_unpack(">II", stts[8:]))
        rows[0:1] = [(1_500, 1_024), (1, 3_072), (rows[0][0] - 1_501, 1_024)]
        return struct.pack(">II", 0, len(rows)) + b"".join(struct.pack(">II", *row) for row in rows)

    await assert_the_same(prepare, written(replaced(parsed(m4a()), {b"stts": in_rows})))


async def test_broken_packets_change_nothing(prepare: Prepare, m4a):
    media = bytearray(m4a())
    for at in range(200_000, 1_000_000, 100_000):
        media[at : at + 1_000] = b"\xff" * 1_000

    await assert_the_same(prepare, bytes(media))


async def test_places_behind_the_end_of_the_file_end_the_sound(prepare: Prepare, m4a):
    *front, (mdat, packets), moov = parsed(m4a())

    await assert_the_same(prepare, written([*front, (mdat, packets[: len(packets) // 2]), moov]))


def test_a_head_that_does_not_end_where_the_rest_begins_is_an_error_that_says_so(m4a):
    long = long_mp4(MediaInMemory(m4a()))
    assert long is not None

    with open_media(long.head, lambda: False) as container:
        stream = container.streams.audio[0]
        packets = replace(long, head_packets=long.head_packets - 1).packets(container, stream, lambda: False)
        with pytest.raises(ServiceError, match="contradicts itself"):
            list(packets)


def test_a_short_file_is_left_to_libav(encode):
    assert long_mp4(MediaInMemory(encode("ipod", "aac", 44_100))) is None


def test_a_file_in_fragments_is_left_to_libav(m4a):
    assert long_mp4(MediaInMemory(added_to_moov(m4a(), box(b"mvex", b"")))) is None


LIES: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {
    "more sizes than there is room for": (b"stsz", lambda b: b[:8] + struct.pack(">I", 2**32 - 1) + b[12:]),
    "fewer sizes than packets": (b"stsz", lambda b: b[:8] + struct.pack(">I", LONG_PACKETS) + b[12:]),
    "one size for all": (b"stsz", lambda b: b[:4] + struct.pack(">I", 100) + b[8:]),
    "packets in a chunk that is not there": (b"stsc", lambda b: b[:8] + struct.pack(">I", 2) + b[12:]),
    "billions of packets in a chunk": (b"stsc", lambda b: b[:12] + struct.pack(">I", 2**32 - 1) + b[16:]),
    "packets of another description": (b"stsc", lambda b: b[:16] + struct.pack(">I", 2) + b[20:]),
    "durations of more packets": (b"stts", lambda b: b[:8] + struct.pack(">I", 2**32 - 1) + b[12:]),
    "negative durations": (b"stts", lambda b: b[:12] + struct.pack(">i", -1_024) + b[16:]),
    "two edits": (b"elst", lambda b: b[:4] + struct.pack(">I", 2) + b[8:] * 2),
    "an edit at twice the speed": (b"elst", lambda b: b[:16] + struct.pack(">I", 2 << 16)),
    "a beginning in the middle": (b"elst", lambda b: b[:12] + struct.pack(">i", 44_100 * 60) + b[16:]),
    "two descriptions": (b"stsd", lambda b: b[:4] + struct.pack(">I", 2) + b[8:]),
    "encryption": (b"stsd", lambda b: b.replace(b"mp4a", b"enca")),
    "mp3 in it": (b"stsd", lambda b: b.replace(b"mp4a", b".mp3")),
    "no clock": (b"mdhd", lambda b: b[:12] + bytes(4) + b[16:]),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_is_unusual_or_contradicts_itself_is_left_to_libav(m4a, lie: str):
    kind, change = LIES[lie]

    assert long_mp4(MediaInMemory(written(replaced(parsed(m4a()), {kind: change})))) is None


def test_no_cut_of_the_file_is_an_error(m4a):
    media = m4a()

    for end in [*range(64), *range(len(media) - 30_000, len(media), 97)]:
        assert long_mp4(MediaInMemory(media[:end])) is None


def repeated(media: bytes, container: str, times: int) -> bytes:
    """The same packets again and again."""
    target, end = io.BytesIO(), 0
    with av.open(io.BytesIO(media)) as source, av.open(target, "w", format=container) as output:
        stream = output.add_stream_from_template(source.streams.audio[0])
        packets = [(bytes(packet), packet.duration) for packet in source.demux(audio=0) if packet.size]
        for content, duration in packets * times:
            packet = av.Packet(content)
            packet.stream, packet.time_base = stream, source.streams.audio[0].time_base
            packet.pts = packet.dts = end
            packet.duration, end = duration, end + duration
            output.mux(packet)
    return target.getvalue()


def left_to_libav(media: bytes) -> bytes:
    """The same with two boxes that mean nothing, which is once too often."""
    return added_to_moov(media, 2 * box(b"none", b""))


def added_to_moov(media: bytes, more: bytes) -> bytes:
    """With more at the end of the index, which has to lie at the end of the file or has its places moved."""
    content = parsed(media)
    at = [kind for kind, _ in content].index(b"moov")
    _, old = content[at]
    changes = {} if at == len(content) - 1 else {b"stco": lambda stco: with_offsets(stco, len(more))}
    moov = replaced([(b"moov", [*old, *parsed(more)])], changes)
    return written([*content[:at], *moov, *content[at + 1 :]])


def with_offsets(stco: bytes, shift: int) -> bytes:
    return stco[:8] + b"".join(struct.pack(">I", place + shift) for (place,) in struct.iter_unpack(">I", stco[8:]))


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def parsed(content: bytes) -> Content:
    found: Content = []
    while content:
        size, kind = struct.unpack_from(">I4s", content)
        body, content = content[8:size], content[size:]
        found.append((kind, parsed(body) if kind in PARENTS else body))
    return found


def written(content: Content) -> bytes:
    return b"".join(box(kind, body if isinstance(body, bytes) else written(body)) for kind, body in content)


def replaced(content: Content, changes: dict[bytes, Callable[[bytes], bytes]]) -> Content:
    """With other bodies for the boxes of these kinds."""
    return [
        (kind, changes.get(kind, bytes)(body) if isinstance(body, bytes) else replaced(body, changes))
        for kind, body in content
    ]
