"""Headers with values that no recording has, and files that contain something other than audio."""

import io
import struct
import zipfile
from collections.abc import Callable

import av
import httpx
import numpy as np
import pytest
from media import as_media
from media_boxes import box, chunk, element, mkv, mkv_cluster, mkv_track, mp4, mp4_track, riff, wav_format

Refusal = Callable[..., dict]
Send = Callable[[bytes], httpx.Response]


def wav(**layout: int) -> bytes:
    return riff(b"WAVE", wav_format(**layout), chunk(b"data", bytes(range(256)) * 200))


@pytest.mark.parametrize("channels", [0, 65, 1_000, 65_535])
def test_a_wav_of_absurdly_many_channels_is_400(refusal: Refusal, channels: int):
    refusal(wav(channels=channels))


@pytest.mark.parametrize("rate_hz", [0, 1, 1_999, 768_001, 2**31 - 1, 2**32 - 1])
def test_a_wav_of_an_absurd_sample_rate_is_400(refusal: Refusal, rate_hz: int):
    refusal(wav(rate_hz=rate_hz))


@pytest.mark.parametrize("bits", [0, 1, 7, 1_000, 65_535])
def test_a_wav_of_an_absurd_sample_width_is_no_5xx(send: Send, bits: int):
    assert send(wav(bits=bits)).status_code in (200, 400)


@pytest.mark.parametrize("tag", [0, 2, 0x10, 0x50, 0x161, 0x2000, 0xFFFE, 0xFFFF])
def test_a_wav_of_any_codec_without_what_the_codec_needs_is_no_5xx(send: Send, tag: int):
    assert send(wav(tag=tag)).status_code in (200, 400)


@pytest.mark.parametrize("align", [0, 3, 65_535])
def test_a_wav_whose_blocks_are_not_its_samples_is_no_5xx(send: Send, align: int):
    assert send(wav(align=align, rate_hz=8_000)).status_code in (200, 400)


@pytest.mark.parametrize("rate_hz", [0.0, -1.0, 1e300, float("inf"), float("nan")])
def test_a_matroska_track_of_an_absurd_sample_rate_is_no_5xx(send: Send, rate_hz: float):
    assert send(mkv([mkv_track(1, rate_hz=rate_hz)], clusters=mkv_cluster(bytes(3_200)))).status_code in (200, 400)


@pytest.mark.parametrize("channels", [0, 2**31, 2**63])
def test_a_matroska_track_of_absurdly_many_channels_is_no_5xx(send: Send, channels: int):
    assert send(mkv([mkv_track(1, channels=channels)], clusters=mkv_cluster(bytes(3_200)))).status_code in (200, 400)


@pytest.mark.parametrize("rate", ["7fff8000000000000000", "7fffff00000000000000", "00" * 10, "c00eac44000000000000"])
def test_an_aiff_of_an_infinite_or_negative_sample_rate_is_400(refusal: Refusal, rate: str):
    common = b"COMM" + struct.pack(">IHIH", 18, 1, 16_000, 16) + bytes.fromhex(rate)
    sound = b"SSND" + struct.pack(">III", 8 + 32_000, 0, 0) + bytes(32_000)

    refusal(b"FORM" + struct.pack(">I", 4 + len(common) + len(sound)) + b"AIFF" + common + sound)


def picture_tag() -> bytes:
    """An ID3 tag with a cover picture."""
    picture = b"\0image/png\0\3\0" + b"\x89PNG\r\n\x1a\n" + bytes(20_000)
    frame = b"APIC" + struct.pack(">I", len(picture)) + b"\0\0" + picture
    return b"ID3\3\0\0" + bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0)) + frame


def test_a_picture_as_only_content_of_an_mp3_is_400(refusal: Refusal):
    refusal(picture_tag())


def test_a_picture_in_front_of_the_sound_is_skipped(send: Send, sample_pcm: bytes):
    answer = send(picture_tag() + as_media(sample_pcm, "mp3"))

    assert answer.status_code == 200
    assert b'"type": "segment"' in answer.content


def test_a_film_without_sound_is_400_that_says_so(refusal: Refusal):
    written = io.BytesIO()
    with av.open(written, "w", format="mp4") as target:
        stream = target.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(5):
            target.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        target.mux(stream.encode(None))

    assert refusal(written.getvalue())["message"] == "The file has no audio track."


def test_subtitles_in_a_container_are_400_that_says_so(refusal: Refusal):
    track = element(0xAE, element(0xD7, b"\1"), element(0x83, b"\x11"), element(0x86, b"S_TEXT/UTF8"))

    assert "no audio track" in refusal(mkv([track], clusters=mkv_cluster(b"/etc/passwd")))["message"]


def test_an_encrypted_mp4_is_400(refusal: Refusal):
    locked = mp4_track().replace(b"sowt", b"enca")

    refusal(mp4(locked, box(b"pssh", bytes(24))))


@pytest.mark.parametrize("inner", ["zip", "mp4 in mp4", "wav in wav", "m4a in the middle of nothing"])
def test_a_file_within_a_file_is_not_looked_for(send: Send, spoken: bytes, inner: str):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr("clip.m4a", spoken)
    files = {
        "zip": archive.getvalue(),
        "mp4 in mp4": mp4(media=spoken),
        "wav in wav": riff(b"WAVE", wav_format(tag=0x9999), chunk(b"data", wav())),
        "m4a in the middle of nothing": bytes(4_096) + spoken,
    }

    assert send(files[inner]).status_code == 400


def test_every_cut_of_a_real_file_is_answered(send: Send, spoken: bytes):
    statuses = {send(spoken[: len(spoken) * cut // 24]).status_code for cut in range(24)}

    assert statuses <= {200, 400}
