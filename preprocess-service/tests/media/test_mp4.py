"""mp4 files as recorders and editors write them, and damaged ones: the right sound at the right time, or a reason."""

import struct
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from media_boxes import box, change_boxes, changed_mp4, parse_boxes, shifted_offsets, write_boxes
from rapl_protocol.errors import ErrorCode, ServiceError

Prepare = Callable[[bytes], Awaitable[Any]]

MELODIES = 4
SHORT_S = 12.0
LONG_S = 99.0
PACKET_S = 0.024
"""The last packet is filled up with silence."""
EXACT_S = 0.004
"""The encoder's delay, which has to be skipped, is 23 ms in AAC and 6.5 ms in Opus."""


@pytest.fixture
def m4a(encode, make_melody) -> bytes:
    """AAC at 44.1 kHz, with its index at the end, as encoders write it."""
    return encode("ipod", "aac", 44_100, sound=np.tile(make_melody(44_100), MELODIES))


async def assert_same_sound(prepare: Prepare, media: bytes, original: bytes) -> None:
    prepared, expected = await prepare(media), await prepare(original)

    assert prepared.source == expected.source
    assert prepared.segments == expected.segments
    assert prepared.duration_s == expected.duration_s


@pytest.mark.parametrize(
    ("container", "codec", "rate_hz"),
    [("ipod", "aac", 44_100), ("mp4", "libopus", 48_000), ("mp4", "flac", 44_100), ("mov", "alac", 44_100)],
)
async def test_a_long_file_has_its_whole_sound_without_the_encoders_delay(
    prepare: Prepare, encode, make_melody, assert_melody, best_match, container: str, codec: str, rate_hz: int
):
    prepared = await prepare(encode(container, codec, rate_hz, sound=np.tile(make_melody(rate_hz), 33)))

    assert prepared.duration_s == pytest.approx(LONG_S, abs=PACKET_S)
    shift, _ = best_match(make_melody(16_000), prepared.samples[: 3 * 16_000])
    assert abs(shift) < EXACT_S * 16_000
    for starts_s in (0.0, 48.0, 96.0):
        assert_melody(prepared.samples, starts_s)


async def test_the_sound_beside_a_film_is_whole(prepare: Prepare, encode, make_melody, assert_melody):
    sound = np.tile(make_melody(44_100), MELODIES)

    prepared = await prepare(encode("mp4", "aac", 44_100, sound=sound, video="mpeg4"))

    assert prepared.duration_s == pytest.approx(SHORT_S, abs=PACKET_S)
    assert_melody(prepared.samples, starts_s=9.0)


async def test_a_track_that_starts_late_begins_with_silence(prepare: Prepare, encode, make_melody, assert_melody):
    sound = np.tile(make_melody(44_100), MELODIES)

    prepared = await prepare(encode("mp4", "aac", 44_100, sound=sound, start_s=2.0))

    assert prepared.duration_s == pytest.approx(2.0 + SHORT_S, abs=0.05)
    assert np.abs(prepared.samples[: 2 * 16_000]).max() < 0.01
    assert_melody(prepared.samples, starts_s=11.0)


async def test_an_index_in_front_of_the_sound_changes_nothing(prepare: Prepare, m4a: bytes):
    boxes = parse_boxes(m4a)
    index_bytes = len(write_boxes(boxes[-1:]))
    [moov] = change_boxes(boxes[-1:], {b"stco": lambda stco: shifted_offsets(stco, index_bytes)})

    await assert_same_sound(prepare, write_boxes([boxes[0], moov, *boxes[1:-1]]), m4a)


async def test_offsets_of_64_bits_change_nothing(prepare: Prepare, m4a: bytes):
    def widened(stco: bytes) -> bytes:
        return stco[:8] + b"".join(struct.pack(">Q", *offset) for offset in struct.iter_unpack(">I", stco[8:]))

    await assert_same_sound(prepare, changed_mp4(m4a, stco=widened).replace(b"stco", b"co64"), m4a)


async def test_a_file_in_fragments_has_its_whole_sound(prepare: Prepare, m4a: bytes, assert_melody, in_fragments):
    prepared = await prepare(in_fragments(m4a))

    assert prepared.duration_s == pytest.approx(SHORT_S, abs=0.1)
    assert_melody(prepared.samples, starts_s=9.0)


@pytest.mark.parametrize("has_edits", [True, False])
async def test_the_encoders_delay_as_itunes_writes_it_is_skipped(
    prepare: Prepare, make_melody, best_match, m4a: bytes, has_edits: bool
):
    media = with_itunes_delay(m4a.replace(b"udta", b"free"), delay=0x400)

    prepared = await prepare(media if has_edits else media.replace(b"edts", b"free"))

    shift, _ = best_match(make_melody(16_000), prepared.samples[: 3 * 16_000])
    assert abs(shift) < EXACT_S * 16_000


async def test_an_edit_that_ends_in_the_middle_ends_the_sound_there(prepare: Prepare, m4a: bytes):
    def halved(elst: bytes) -> bytes:
        return elst[:8] + struct.pack(">I", round(SHORT_S * 500)) + elst[12:]

    assert (await prepare(changed_mp4(m4a, elst=halved))).duration_s == pytest.approx(SHORT_S / 2, abs=0.1)


async def test_one_packet_of_another_duration_changes_nothing(prepare: Prepare, m4a: bytes):
    def in_rows(stts: bytes) -> bytes:
        rows = list(struct.iter_unpack(">II", stts[8:]))
        rows[0:1] = [(150, 1_024), (1, 3_072), (rows[0][0] - 151, 1_024)]
        return struct.pack(">II", 0, len(rows)) + b"".join(struct.pack(">II", *row) for row in rows)

    changed, original = await prepare(changed_mp4(m4a, stts=in_rows)), await prepare(m4a)

    assert changed.duration_s == pytest.approx(original.duration_s, abs=0.05)


async def test_broken_packets_keep_the_time_of_what_follows(
    prepare: Prepare, m4a: bytes, assert_melody, caplog: pytest.LogCaptureFixture
):
    media = bytearray(m4a)
    for at in range(30_000, 60_000, 10_000):
        media[at : at + 1_000] = b"\xff" * 1_000

    prepared = await prepare(bytes(media))

    assert "damaged media: places=3 " in caplog.text
    assert prepared.duration_s == pytest.approx(SHORT_S, abs=0.05)
    assert_melody(prepared.samples, starts_s=9.0)


async def test_packets_behind_the_end_of_the_file_end_the_sound(prepare: Prepare, m4a: bytes, assert_melody):
    *front, (mdat, packets), moov = parse_boxes(m4a)

    prepared = await prepare(write_boxes([*front, (mdat, packets[: len(packets) // 2]), moov]))

    assert 0.4 * SHORT_S < prepared.duration_s < 0.6 * SHORT_S
    assert_melody(prepared.samples)


LIES: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "more sizes than there is room for": ("stsz", lambda b: b[:8] + struct.pack(">I", 2**32 - 1) + b[12:]),
    "fewer sizes than packets": ("stsz", lambda b: b[:8] + struct.pack(">I", 100) + b[12:]),
    "one size for all": ("stsz", lambda b: b[:4] + struct.pack(">I", 100) + b[8:]),
    "packets in a chunk that is not there": ("stsc", lambda b: b[:8] + struct.pack(">I", 2) + b[12:]),
    "billions of packets in a chunk": ("stsc", lambda b: b[:12] + struct.pack(">I", 2**32 - 1) + b[16:]),
    "packets of another description": ("stsc", lambda b: b[:16] + struct.pack(">I", 2) + b[20:]),
    "durations of more packets": ("stts", lambda b: b[:8] + struct.pack(">I", 2**32 - 1) + b[12:]),
    "negative durations": ("stts", lambda b: b[:12] + struct.pack(">i", -1_024) + b[16:]),
    "two edits": ("elst", lambda b: b[:4] + struct.pack(">I", 2) + b[8:] * 2),
    "an edit at twice the speed": ("elst", lambda b: b[:16] + struct.pack(">I", 2 << 16)),
    "a beginning in the middle": ("elst", lambda b: b[:12] + struct.pack(">i", 44_100 * 6) + b[16:]),
    "two descriptions": ("stsd", lambda b: b[:4] + struct.pack(">I", 2) + b[8:]),
    "encryption": ("stsd", lambda b: b.replace(b"mp4a", b"enca")),
    "mp3 in it": ("stsd", lambda b: b.replace(b"mp4a", b".mp3")),
    "no clock": ("mdhd", lambda b: b[:12] + bytes(4) + b[16:]),
}


@pytest.mark.parametrize("lie", LIES)
async def test_an_index_that_is_unusual_or_wrong_is_read_or_refused(prepare: Prepare, m4a: bytes, lie: str):
    kind, change = LIES[lie]

    assert await is_read_or_refused(prepare, changed_mp4(m4a, **{kind: change}))


async def test_a_cut_within_the_index_at_the_end_is_read_or_refused(prepare: Prepare, m4a: bytes):
    index_bytes = len(write_boxes(parse_boxes(m4a)[-1:]))

    for missing in range(1, index_bytes, 97):
        assert await is_read_or_refused(prepare, m4a[:-missing])


async def is_read_or_refused(prepare: Prepare, media: bytes) -> bool:
    try:
        return (await prepare(media)).duration_s > 0
    except ServiceError as error:
        return error.code is ErrorCode.AUDIO_UNDECODABLE


def with_itunes_delay(media: bytes, delay: int) -> bytes:
    """The file with the tag in which iTunes writes how many samples the encoder added in front."""
    text = f" 00000000 {delay:08X} 00000000 {round(SHORT_S * 44_100):016X} 00000000 00000000".encode()
    value = b"".join(
        box(kind, bytes(4) + body)
        for kind, body in ((b"mean", b"com.apple.iTunes"), (b"name", b"iTunSMPB"), (b"data", bytes(4) + text))
    )
    handler = box(b"hdlr", bytes(8) + b"mdirappl" + bytes(9))
    tags = box(b"udta", box(b"meta", bytes(4) + handler + box(b"ilst", box(b"----", value))))
    *front, (moov, content) = parse_boxes(media)
    assert isinstance(content, list)
    return write_boxes([*front, (moov, [*content, *parse_boxes(tags)])])
