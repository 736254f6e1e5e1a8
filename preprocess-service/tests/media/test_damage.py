"""What could not be read of a file is reported with its place; what is whole is not called damaged."""

import io
import struct
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from media_boxes import change_boxes, chunk, parse_boxes, riff, shifted_offsets, wav_format, write_boxes
from rapl_protocol.prepared import Damage, PrepareOptions
from rapl_protocol.testing import make_tone
from rapl_service.calls.clients import PreprocessClient

Prepare = Callable[[bytes], Awaitable[Any]]
DECODE_ONLY = PrepareOptions(speech_detection="off")
LONG_S = 24.0
RATES_HZ = {"libmp3lame": 44_100, "aac": 44_100, "flac": 44_100, "libopus": 48_000, "libopencore_amrnb": 8_000}

INTACT = [
    *(("mp3", "libmp3lame"), ("adts", "aac"), ("flac", "flac"), ("ogg", "libopus"), ("ogg", "flac"), ("mp4", "aac")),
    *(("mp4", "libopus"), ("ipod", "aac"), ("mov", "alac"), ("matroska", "libopus"), ("matroska", "aac")),
    *(("webm", "libopus"), ("wav", "pcm_s16le"), ("wav", "pcm_s24le"), ("wav", "adpcm_ima_wav"), ("wav", "pcm_alaw")),
    *(("aiff", "pcm_s16be"), ("au", "pcm_mulaw"), ("caf", "alac"), ("w64", "pcm_s16le"), ("wv", "wavpack")),
    *(("tta", "tta"), ("amr", "libopencore_amrnb"), ("asf", "wmav2"), ("avi", "libmp3lame"), ("flv", "aac")),
    *(("mpegts", "aac"), ("mpeg", "mp2"), ("ac3", "ac3"), ("eac3", "eac3")),
]


@pytest.fixture
def long(encode, make_melody) -> Callable[..., bytes]:
    """A file of LONG_S."""

    def encoded(container: str, codec: str, **options: Any) -> bytes:
        rate_hz = RATES_HZ.get(codec, 48_000)
        return encode(container, codec, rate_hz, sound=np.tile(make_melody(rate_hz), 8), **options)

    return encoded


@pytest.mark.parametrize(("container", "codec"), INTACT)
@pytest.mark.parametrize("start_s", [0.0, 2.0])
async def test_an_intact_file_has_no_damage(prepare: Prepare, long, container: str, codec: str, start_s: float):
    assert (await prepare(long(container, codec, start_s=start_s))).media.damage == ()


@pytest.mark.parametrize(("container", "codec"), [("webm", "libopus"), ("matroska", "aac"), ("flv", "aac")])
async def test_a_live_recording_has_no_damage(prepare: Prepare, long, container: str, codec: str):
    assert (await prepare(long(container, codec, is_live=True))).media.damage == ()


@pytest.mark.parametrize(
    ("container", "audio", "video"),
    [("mp4", "aac", "libx264"), ("webm", "libopus", "libvpx"), ("mpegts", "aac", "mpeg2video"), ("flv", "aac", "flv1")],
)
@pytest.mark.parametrize("start_s", [0.0, 2.0])
async def test_an_intact_film_has_no_damage(
    prepare: Prepare, encode, container: str, audio: str, video: str, start_s: float
):
    media = encode(container, audio, 44_100 if container == "flv" else 48_000, video=video, start_s=start_s)

    assert (await prepare(media)).media.damage == ()


@pytest.mark.parametrize(("container", "codec"), [("webm", "libopus"), ("ogg", "libopus"), ("mp4", "aac")])
async def test_a_pause_in_the_timestamps_is_not_damage(prepare: Prepare, long, container: str, codec: str):
    """As recorders write it that send nothing during silence."""
    prepared = await prepare(with_pause(long(container, codec), container, pause_s=3.0))

    assert prepared.duration_s == pytest.approx(LONG_S + 3.0, abs=0.1)
    assert prepared.media.damage == ()


async def test_a_pause_in_the_sound_of_a_film_is_not_damage_and_a_hole_is(prepare: Prepare, encode, make_melody):
    media = encode("matroska", "libopus", sound=np.tile(make_melody(48_000), 8), video="mpeg4")
    with_pauses = with_pause(media, "matroska", pause_s=3.0, keeps_pictures=True)

    assert (await prepare(with_pauses)).media.damage == ()
    [damage] = (await prepare(zeroed(with_pauses, 0.6, 0.65))).media.damage
    assert 10.0 < damage.start_s < damage.end_s < 24.0


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFF000, 0x80000000])
async def test_a_wav_of_unknown_length_has_no_damage(prepare: Prepare, size: int):
    media = bytearray(riff(b"WAVE", wav_format(rate_hz=8_000), chunk(b"data", bytes(32_000), claimed_bytes=size)))

    prepared = await prepare(bytes(media))

    assert prepared.duration_s == pytest.approx(2.0)
    assert prepared.media.damage == ()


async def test_the_middle_of_a_live_ogg_stream_has_no_damage(prepare: Prepare, make_melody):
    """The headers, and then pages of a later time, as a listener of web radio gets them."""
    pages = ogg_pages(vorbis(make_melody))
    headers = [page for page in pages if granule_of(page) <= 0]

    prepared = await prepare(b"".join([*headers, *pages[len(headers) + 1 :]]))

    assert 10.0 < prepared.duration_s < LONG_S
    assert prepared.media.damage == ()


@pytest.mark.parametrize("tag", [b"TAG" + bytes(125), b"ID3\4\0\0\0\0\x08\0" + bytes(1_024)], ids=["ID3v1", "ID3v2"])
async def test_a_tag_between_joined_mp3_files_is_not_damage(prepare: Prepare, encode, tag: bytes):
    media = encode("mp3", "libmp3lame", 44_100)

    assert (await prepare(media + tag + media)).media.damage == ()


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_large_tag_of_an_adts_file_is_not_damage(prepare: Prepare, encode, place: int):
    parts = [encode("adts", "aac", 44_100)] * 2
    parts.insert(place, b"ID3\4\0\0\0\x06\x1a\x20" + bytes(100_640))

    assert (await prepare(b"".join(parts))).media.damage == ()


# What is damaged in the middle: the half of the file, and an eighth of it from there on.
HOLES = [
    *(("ogg", "libopus"), ("ogg", "flac"), ("flac", "flac"), ("mp4", "aac"), ("mov", "alac"), ("matroska", "libopus")),
    *(("webm", "libopus"), ("flv", "aac"), ("mpegts", "aac"), ("mp3", "libmp3lame")),
]


@pytest.mark.parametrize(("container", "codec"), HOLES)
async def test_a_hole_is_reported_and_the_rest_keeps_its_time(
    prepare: Prepare, long, dominant_hz, container: str, codec: str
):
    prepared = await prepare(zeroed(long(container, codec), 0.5, 0.625))

    assert prepared.duration_s == pytest.approx(LONG_S, abs=0.1)
    assert [dominant_hz(prepared.samples, at) for at in (1.0, 2.5, 22.0, 23.5)] == pytest.approx(
        [440, 1000, 440, 1000], abs=10
    )
    assert {damage.reason for damage in prepared.media.damage} == {"undecodable"}
    assert 11.0 < prepared.media.damage[0].start_s < 13.0
    assert 14.0 < prepared.media.damage[-1].end_s < 20.0  # Matroska goes on at the next cluster
    assert 1.5 < prepared.media.damaged_s < 8.0


@pytest.mark.parametrize(("container", "codec"), [("ogg", "libopus"), ("flac", "flac"), ("matroska", "libopus")])
async def test_bytes_that_are_missing_are_a_hole_too(prepare: Prepare, long, container: str, codec: str):
    media = long(container, codec)
    prepared = await prepare(media[: len(media) // 2] + media[len(media) * 5 // 8 :])

    assert prepared.duration_s == pytest.approx(LONG_S, abs=0.1)
    [damage] = prepared.media.damage
    assert 11.0 < damage.start_s < 13.0
    assert 14.0 < damage.end_s < 20.0


@pytest.mark.parametrize(("start", "end"), [(0.48, 0.5), (0.3, 0.8), (0.02, 0.1)])
async def test_twenty_minutes_of_ogg_go_on_behind_a_hole(prepare: Prepare, make_melody, start: float, end: float):
    media = vorbis(make_melody, 400)

    prepared = await prepare(zeroed(media, start, end))

    assert prepared.duration_s == pytest.approx(1_200.0, abs=0.1)
    [damage] = prepared.media.damage
    assert (damage.start_s, damage.end_s) == pytest.approx((1_200 * start, 1_200 * end), abs=12.0)


async def test_an_ogg_whose_first_sound_is_damaged_keeps_its_time(prepare: Prepare, make_melody, assert_melody):
    pages = ogg_pages(vorbis(make_melody))
    headers = sum(granule_of(page) <= 0 for page in pages)
    pages[headers] = pages[headers][:-100] + bytes(100)

    prepared = await prepare(b"".join(pages))

    assert prepared.duration_s == pytest.approx(LONG_S, abs=0.1)
    assert_melody(prepared.samples, starts_s=21.0)
    [damage] = prepared.media.damage
    assert (damage.reason, damage.start_s) == ("undecodable", 0.0)


async def test_an_ogg_whose_end_is_damaged_reports_it_to_its_measured_end(prepare: Prepare, make_melody):
    prepared = await prepare(zeroed(vorbis(make_melody, 400), 0.9, 1.0))

    [damage] = prepared.media.damage
    assert damage.reason == "undecodable"
    assert (damage.start_s, damage.end_s) == pytest.approx((1_080.0, 1_200.0), abs=12.0)


@pytest.mark.parametrize(("start", "end"), [(0.5, 0.6), (0.9, 1.0)])
async def test_bytes_of_a_bare_stream_that_are_no_packets_count_as_damage(
    prepare: Prepare, encode, make_melody, start: float, end: float
):
    media = encode("adts", "aac", 44_100, sound=np.tile(make_melody(44_100), 80))

    prepared = await prepare(zeroed(media, start, end))

    assert prepared.media.damaged_s == pytest.approx(24.0, abs=1.0)


async def test_fragments_behind_a_hole_count_as_damage(prepare: Prepare, long, in_fragments):
    media = in_fragments(long("ipod", "aac"))

    [damage] = (await prepare(zeroed(media, 0.5, 0.6))).media.damage

    assert (damage.start_s, damage.end_s) == pytest.approx((12.0, LONG_S), abs=2.0)


async def test_fragments_that_were_cut_off_have_an_end_of_which_nothing_is_known(prepare: Prepare, long, in_fragments):
    media = in_fragments(long("ipod", "aac"))

    [damage] = (await prepare(media[: len(media) * 6 // 10])).media.damage

    assert (await prepare(media)).media.damage == ()
    assert (damage.reason, damage.end_s) == ("cut_off", None)


# Formats whose header has the duration.
CUTS = [
    *(("mp3", "libmp3lame"), ("flac", "flac"), ("wav", "pcm_s16le"), ("wav", "adpcm_ima_wav"), ("aiff", "pcm_s16be")),
    *(("au", "pcm_s16be"), ("matroska", "libopus"), ("webm", "libopus"), ("wv", "wavpack"), ("tta", "tta")),
    *(("flv", "aac"), ("w64", "pcm_s16le"), ("caf", "pcm_s16be")),
]


@pytest.mark.parametrize(("container", "codec"), CUTS)
async def test_a_file_that_was_cut_off_reports_the_missing_end(prepare: Prepare, long, container: str, codec: str):
    media = long(container, codec)

    prepared = await prepare(media[: len(media) * 6 // 10])

    [damage] = prepared.media.damage
    assert damage.reason == "cut_off"
    assert damage.start_s == pytest.approx(prepared.duration_s, abs=0.1)
    assert damage.end_s == pytest.approx(LONG_S, abs=0.1)


@pytest.mark.parametrize(("container", "codec"), [("ipod", "aac"), ("mp4", "libopus"), ("mov", "alac")])
@pytest.mark.parametrize("left", [0.2, 0.6, 0.97])
async def test_an_mp4_that_was_cut_off_behind_its_index_reports_the_missing_end(
    prepare: Prepare, long, container: str, codec: str, left: float
):
    media = with_index_in_front(long(container, codec))

    prepared = await prepare(media[: round(len(media) * left)])

    assert (await prepare(media)).media.damage == ()
    [damage] = prepared.media.damage
    assert damage.reason == "cut_off"
    assert damage.start_s == pytest.approx(prepared.duration_s, abs=0.1)
    assert damage.end_s == pytest.approx(LONG_S, abs=0.1)


async def test_an_ogg_that_was_cut_off_has_an_end_of_which_nothing_is_known(prepare: Prepare, long):
    media = long("ogg", "libopus")

    prepared = await prepare(media[: len(media) * 6 // 10])

    [damage] = prepared.media.damage
    assert (damage.reason, damage.end_s) == ("cut_off", None)
    assert damage.start_s == pytest.approx(prepared.duration_s, abs=0.01)


async def test_a_wav_that_needs_no_decoding_reports_its_missing_end(prepare: Prepare, client: PreprocessClient):
    media = make_tone(4.0).to_wav()[: 44 + 32_000]

    expected = (Damage(reason="cut_off", start_s=1.0, end_s=4.0),)
    assert (await prepare(media)).media.damage == expected
    async with client.clip(media, DECODE_ONLY, deadline_s=10) as clip:
        assert clip.media.damage == expected


async def test_a_clip_has_the_same_damage_as_a_file(prepare: Prepare, client: PreprocessClient, long):
    media = zeroed(long("ogg", "libopus"), 0.5, 0.625)

    async with client.clip(media, DECODE_ONLY, deadline_s=10) as clip:
        assert clip.media == (await prepare(media)).media


async def test_broken_packets_that_are_close_are_one_place(prepare: Prepare, encode):
    media = encode("matroska", "flac", sound=None, broken_packets=range(6, 14, 2))

    assert len((await prepare(media)).media.damage) == 1


async def test_a_stream_that_joins_titles_after_a_lost_connection_goes_on_in_time(prepare: Prepare, make_melody):
    """Pages are missing for longer than a jump that is taken for a new clock."""
    pages = ogg_pages(vorbis(make_melody, 30))

    prepared = await prepare(b"".join([*pages[:5], *pages[-3:]]))

    assert prepared.duration_s == pytest.approx(90.0, abs=0.1)
    [damage] = prepared.media.damage
    assert damage.end_s - damage.start_s > 20.0


async def test_hundreds_of_holes_stay_a_hundred_places(prepare: Prepare, encode, make_melody):
    media = encode("matroska", "flac", sound=np.tile(make_melody(48_000), 200), broken_packets=range(10, 6_000, 20))

    damage = (await prepare(media)).media.damage

    assert 40 < len(damage) <= 100
    assert all(a.end_s < b.start_s for a, b in pairwise(damage))
    assert damage[-1].end_s > 500


def vorbis(make_melody: Callable[[int], np.ndarray], melodies: int = 8) -> bytes:
    file = io.BytesIO()
    sound = make_melody(16_000)
    with soundfile.SoundFile(file, "w", 16_000, 1, format="OGG", subtype="VORBIS") as target:
        for _ in range(melodies):
            target.write(sound)
    return file.getvalue()


def zeroed(media: bytes, start: float, end: float) -> bytes:
    """The file with zeros from one part of its size to another."""
    first, last = round(len(media) * start), round(len(media) * end)
    return media[:first] + bytes(last - first) + media[last:]


def with_pause(media: bytes, container: str, pause_s: float, *, keeps_pictures: bool = False) -> bytes:
    """The same packets; those of the sound's second half are later by `pause_s`."""
    target = io.BytesIO()
    with av.open(io.BytesIO(media)) as source, av.open(target, "w", format=container) as output:
        sound = source.streams.audio[0]
        tracks = [*source.streams.video, sound] if keeps_pictures else [sound]
        copies = {track.index: output.add_stream_from_template(track) for track in tracks}
        for packet in source.demux(tracks):
            if not packet.size or packet.pts is None or packet.time_base is None:
                continue
            if packet.stream.index == sound.index and packet.pts * packet.time_base > LONG_S / 2:
                packet.pts = packet.dts = packet.pts + round(pause_s / packet.time_base)
            packet.stream = copies[packet.stream.index]
            output.mux(packet)
    return target.getvalue()


def with_index_in_front(media: bytes) -> bytes:
    """The mp4 file with its `moov` box in front of the packets."""
    boxes = parse_boxes(media)
    index_bytes = len(write_boxes(boxes[-1:]))
    [moov] = change_boxes(boxes[-1:], {b"stco": lambda stco: shifted_offsets(stco, index_bytes)})
    return write_boxes([boxes[0], moov, *boxes[1:-1]])


def ogg_pages(media: bytes) -> list[bytes]:
    pages = []
    while media:
        segments = media[26]
        size = 27 + segments + sum(media[27 : 27 + segments])
        pages.append(media[:size])
        media = media[size:]
    return pages


def granule_of(page: bytes) -> int:
    return struct.unpack_from("<q", page, 6)[0]
