"""Small files that would decode to much audio, memory or many tracks."""

import struct
import zlib
from collections.abc import Callable

import httpx
import pytest
from media_boxes import (
    box,
    chunk,
    element,
    flac,
    full_box,
    id3_with_compressed_frame,
    mkv,
    mkv_cluster,
    mkv_track,
    mp4,
    mp4_track,
    ogg_page,
    riff,
    wav_format,
)

Refusal = Callable[..., dict]
Send = Callable[[bytes], httpx.Response]

DAYS = 30 * 86_400


def test_a_flac_that_announces_days_is_413_at_once(refusal: Refusal):
    assert "longer than" in refusal(flac(10, announced_samples=(1 << 36) - 1), status=413)["message"]


def test_an_mp4_that_announces_days_and_holds_nothing_is_400(refusal: Refusal):
    refusal(mp4(mp4_track(codec=b"mp4a", sample_duration=DAYS * 16_000 // 1_000, samples=1_000)))


def test_a_matroska_file_that_announces_days_is_413_at_once(refusal: Refusal):
    media = mkv([mkv_track(1)], duration_s=DAYS, clusters=mkv_cluster(bytes(3_200)))

    assert "longer than" in refusal(media, status=413)["message"]


def test_a_flac_of_an_hour_in_a_few_kilobytes_ends_when_nothing_of_its_size_can_be_as_long(send: Send):
    media = flac(440)
    assert len(media) < 7_000

    answer = send(media)

    assert answer.status_code == 200  # progress was reported before the error
    assert answer.content.endswith(b'"code": "audio_undecodable"}}\n')
    assert b"too small to contain" in answer.content


@pytest.mark.parametrize("samples", [100_000_000, 2**31 - 1, 2**32 - 1])
def test_an_mp4_that_claims_billions_of_packets_is_400(refusal: Refusal, samples: int):
    refusal(mp4(mp4_track(codec=b"mp4a", samples=samples, sample_bytes=2)))


@pytest.mark.parametrize("samples", [100_000_000, 2**31 - 1, 2**32 - 1])
def test_an_mp4_that_claims_billions_of_pcm_samples_holds_those_that_there_are(send: Send, samples: int):
    answer = send(mp4(mp4_track(samples=samples, sample_bytes=2)))

    assert answer.status_code == 200
    assert b'"type": "segment"' not in answer.content


def test_an_mp4_of_ten_thousand_tracks_is_400(refusal: Refusal):
    refusal(mp4(*[mp4_track()] * 10_000))


def test_a_matroska_file_of_ten_thousand_tracks_is_400(refusal: Refusal):
    refusal(mkv(mkv_track(number) for number in range(1, 10_001)))


def test_an_ogg_of_ten_thousand_streams_is_400(refusal: Refusal):
    head = b"OpusHead\1\1" + struct.pack("<HIH", 312, 48_000, 0) + b"\0"

    refusal(b"".join(ogg_page(serial, head) for serial in range(10_000)))


@pytest.mark.parametrize(
    "part",
    [
        flac(0),
        b"#!AMR\n",
        riff(b"WAVE", wav_format(), chunk(b"data", b"ab")),
        b"OggS\0\2" + bytes(22),
        b"caff\0\1\0\0desc",
    ],
    ids=["flac", "amr", "wav", "ogg", "caf"],
)
def test_a_file_of_a_million_files_ends(send: Send, part: bytes):
    assert send(part * 1_000_000).status_code in (200, 400)


@pytest.mark.parametrize("boxes", [box(b"ftyp") + box(b"moov"), box(b"moof"), box(b"free")])
def test_an_mp4_of_a_million_boxes_is_400(refusal: Refusal, boxes: bytes):
    refusal(box(b"ftyp") + box(b"moov") + boxes * 1_000_000)


def test_parts_that_cannot_be_decoded_add_an_hour_of_silence_at_most(send: Send):
    answer = send(flac(100) + flac(0) * 10_000 + b"fLaC\x80\0\0\x22" + bytes(1 << 20))

    assert answer.status_code == 200
    assert b"audio_undecodable" not in answer.content or b"too small to contain" in answer.content


def test_an_avi_of_ten_thousand_streams_is_400(refusal: Refusal):
    header = struct.pack("<4s4sIHHIIIIIIII", b"auds", b"\0\0\0\0", 0, 0, 0, 0, 1, 16_000, 0, 100, 100, 0, 2) + bytes(8)
    track = chunk(b"LIST", b"strl" + chunk(b"strh", header) + wav_format().replace(b"fmt ", b"strf"))
    main = chunk(b"avih", struct.pack("<14I", 0, 0, 0, 0, 10, 0, 10_000, 0, 0, 0, 0, 0, 0, 0))

    refusal(riff(b"AVI ", chunk(b"LIST", b"hdrl" + main + track * 10_000), chunk(b"LIST", b"movi" + bytes(4_000))))


def test_a_transport_stream_of_ten_thousand_programs_is_400(refusal: Refusal):
    packets = []
    for number in range(10_000):
        programs = b"".join(struct.pack(">HH", n + 1, 0xE000 | (n % 8_000 + 32)) for n in range(40))
        section = b"\0" + struct.pack(">H", 0xB000 | len(programs) + 9) + b"\0\1\xc1\0\0" + programs
        packets.append((b"G\x40\0" + bytes([0x10 | number % 16]) + b"\0" + section).ljust(188, b"\xff")[:188])

    refusal(b"".join(packets))


def test_a_wav_of_a_hundred_thousand_empty_chunks_is_400(refusal: Refusal):
    refusal(riff(b"WAVE", wav_format(rate_hz=8_000), *[chunk(b"LIST", b"")] * 100_000))


@pytest.mark.parametrize("megabytes", [50, 200])
def test_a_tag_that_inflates_to_hundreds_of_megabytes_is_400(refusal: Refusal, megabytes: int):
    refusal(id3_with_compressed_frame(megabytes << 20) + bytes(1_000))


def test_a_matroska_track_whose_headers_inflate_is_400(refusal: Refusal):
    algorithm = element(0x5034, element(0x4254, b"\0"))
    encoding = element(0x6D80, element(0x6240, element(0x5031, b"\0"), element(0x5032, b"\3"), algorithm))
    private = element(0x63A2, zlib.compress(bytes(100 << 20), 9))

    refusal(mkv([mkv_track(1, b"A_FLAC", private, encoding)], clusters=mkv_cluster(bytes(100))))


def test_boxes_within_boxes_a_hundred_thousand_deep_are_400(refusal: Refusal):
    depth = 100_000
    nested = b"".join(struct.pack(">I", 8 * (depth - i) + 100) + b"moov" for i in range(depth))

    refusal(box(b"ftyp", b"isom", bytes(4), b"isom") + nested + bytes(100))


def test_matroska_elements_within_elements_are_400(refusal: Refusal):
    nested = b""
    for _ in range(2_000):
        nested = element(0x1654AE6B, nested)

    refusal(mkv([nested]))


def test_an_edit_list_of_days_of_silence_ends(send: Send):
    pause, sound = struct.pack(">IiI", 2**31, -1, 1 << 16), struct.pack(">IiI", 160, 0, 1 << 16)
    edits = box(b"edts", full_box(b"elst", struct.pack(">I", 2), pause, sound))

    assert send(mp4(mp4_track(sample_bytes=2, samples=1_000, edits=edits))).status_code in (200, 400)


@pytest.mark.parametrize("block", [0, 1, 2**32 - 1])
def test_a_caf_whose_packets_claim_to_be_endless_is_400(refusal: Refusal, block: int):
    layout = struct.pack(">d4sIIIII", 16_000.0, b"lpcm", 0, block, block, 2**31, 2**31)
    media = b"caff\0\1\0\0desc" + struct.pack(">q", 32) + layout
    table = b"pakt" + struct.pack(">q", 24) + struct.pack(">qqii", 2**62, 2**62, 0, 0)

    refusal(media + table + b"data" + struct.pack(">q", -1) + bytes(2_000))


def test_an_ape_that_claims_a_table_of_gigabytes_is_400(refusal: Refusal):
    descriptor = b"MAC " + struct.pack("<HHIIIIIII", 3_990, 0, 52, 24, 2**31, 0, 2**31, 0, 0) + bytes(16)

    refusal(descriptor + struct.pack("<HHIIIHHI", 2_000, 0, 73_728, 100, 2**32 - 1, 16, 2, 44_100) + bytes(5_000))


def test_a_tta_that_claims_a_table_of_gigabytes_is_400(refusal: Refusal):
    refusal(b"TTA1" + struct.pack("<HHHIII", 1, 2, 16, 44_100, 2**32 - 1, 0) + bytes(5_000))
