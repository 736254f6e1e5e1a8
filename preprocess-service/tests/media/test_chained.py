"""Files that were made of several files, one behind the other, and WAV files of an unusual order."""

import io
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
import soundfile
from media_boxes import chunk, riff, wav_format
from rapl_protocol.audio import WavAudio
from rapl_protocol.prepared import PrepareOptions
from rapl_protocol.testing import make_tone
from rapl_service.calls.clients import PreprocessClient

Prepare = Callable[[bytes], Awaitable[Any]]
DECODE_ONLY = PrepareOptions(speech_detection="off")

PAIRS = {
    "opus, mono then stereo": [("ogg", "libopus", 48_000, "mono"), ("ogg", "libopus", 48_000, "stereo")],
    "opus then flac in ogg": [("ogg", "libopus", 48_000, "mono"), ("ogg", "flac", 44_100, "stereo")],
    "flac of two rates": [("flac", "flac", 44_100, "mono"), ("flac", "flac", 16_000, "stereo")],
    "webm, mono then stereo": [("webm", "libopus", 48_000, "mono"), ("webm", "libopus", 48_000, "stereo")],
    "two codecs in matroska": [("matroska", "aac", 44_100, "mono"), ("matroska", "flac", 48_000, "stereo")],
    "mp4 of two rates": [("mp4", "aac", 48_000, "mono"), ("mp4", "aac", 44_100, "stereo")],
    "m4a then mp4": [("ipod", "alac", 44_100, "mono"), ("mp4", "aac", 16_000, "mono")],
    "wav of two rates": [("wav", "pcm_s16le", 44_100, "mono"), ("wav", "pcm_s24le", 16_000, "stereo")],
    "wav of two codecs": [("wav", "pcm_alaw", 8_000, "mono"), ("wav", "pcm_s16le", 48_000, "mono")],
    "aiff of two rates": [("aiff", "pcm_s16be", 44_100, "mono"), ("aiff", "pcm_s16be", 16_000, "stereo")],
    "w64": [("w64", "pcm_s16le", 48_000, "mono"), ("w64", "pcm_s16le", 16_000, "mono")],
    "caf": [("caf", "alac", 44_100, "mono"), ("caf", "pcm_s16be", 16_000, "mono")],
    "flv": [("flv", "aac", 44_100, "stereo"), ("flv", "aac", 44_100, "mono")],
    "asf": [("asf", "wmav2", 44_100, "stereo"), ("asf", "wmav2", 44_100, "mono")],
    "amr": [("amr", "libopencore_amrnb", 8_000, "mono")] * 2,
    "tta": [("tta", "tta", 44_100, "mono"), ("tta", "tta", 48_000, "mono")],
    "wavpack": [("wv", "wavpack", 44_100, "stereo"), ("wv", "wavpack", 48_000, "mono")],
    "mp3 of two rates": [("mp3", "libmp3lame", 44_100, "mono"), ("mp3", "libmp3lame", 16_000, "mono")],
    "adts of two rates": [("adts", "aac", 44_100, "mono"), ("adts", "aac", 48_000, "stereo")],
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS.keys())
async def test_a_file_behind_another_is_read_too(prepare: Prepare, encode, dominant_hz, pair: list[tuple]):
    prepared = await prepare(b"".join(encode(*coding) for coding in pair))

    assert prepared.duration_s == pytest.approx(6.0, abs=0.2)
    second = prepared.duration_s - 3.0
    tones = [dominant_hz(prepared.samples, at) for at in (1.0, 2.5, second + 1.0, second + 2.5)]
    assert tones == pytest.approx([440, 1000, 440, 1000], abs=15)
    assert prepared.media.damage == ()


async def test_titles_of_a_radio_stream_are_read_one_after_the_other(prepare: Prepare, make_melody, assert_melody):
    titles = [vorbis(make_melody(rate_hz), rate_hz) for rate_hz in (44_100, 22_050, 44_100, 48_000)]

    prepared = await prepare(b"".join(titles))

    assert prepared.duration_s == pytest.approx(12.0, abs=0.1)
    assert_melody(prepared.samples, starts_s=9.0)
    assert prepared.media.damage == ()


async def test_the_announced_duration_of_a_joined_file_is_not_known(prepare: Prepare, encode):
    assert (await prepare(encode("flac", "flac"))).source.duration_s == 3.0
    assert (await prepare(encode("flac", "flac") * 2)).source.duration_s is None


async def test_a_part_that_cannot_be_decoded_becomes_damage_of_about_its_length(
    prepare: Prepare, encode, assert_melody
):
    good, broken = encode("flac", "flac"), encode("flac", "flac", broken_packets=range(10_000))

    prepared = await prepare(good + broken + good)

    assert prepared.duration_s == pytest.approx(9.0, abs=1.0)
    [damage] = prepared.media.damage
    assert (damage.start_s, damage.end_s) == pytest.approx((3.0, prepared.duration_s - 3.0), abs=0.1)
    assert_melody(prepared.samples, starts_s=prepared.duration_s - 3.0)


async def test_what_lies_behind_a_thousand_parts_is_told(prepare: Prepare):
    blip = vorbis(np.zeros(441, np.float32), 44_100)

    prepared = await prepare(blip * 1_010)

    [damage] = prepared.media.damage
    assert damage.reason == "undecodable"
    assert damage.start_s > 5.0
    assert damage.end_s == pytest.approx(prepared.duration_s, abs=0.001)


async def test_a_second_wav_behind_one_that_needs_no_decoding_is_read(
    prepare: Prepare, client: PreprocessClient, dominant_hz
):
    media = make_tone(1.0).to_wav() * 2

    assert (await prepare(media)).duration_s == pytest.approx(2.0)
    async with client.clip(media, DECODE_ONLY, deadline_s=10) as clip:
        assert clip.audio.duration_s == pytest.approx(2.0)


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
async def test_a_second_data_chunk_in_a_wav_is_read(prepare: Prepare, make_melody, assert_melody, rate_hz: int):
    samples = chunk(b"data", pcm(make_melody(rate_hz), "<i2"))
    media = riff(b"WAVE", wav_format(rate_hz=rate_hz), samples, chunk(b"LIST", b"INFO"), samples)

    prepared = await prepare(media)

    assert prepared.duration_s == pytest.approx(6.0, abs=0.01)
    assert_melody(prepared.samples, starts_s=3.0)
    assert prepared.media.damage == ()


RIFX = {
    "16 bits": (1, 16, ">i2", 32_767),
    "24 bits": (1, 24, ">i4", 0x7FFFFFFF),
    "32 bits": (1, 32, ">i4", 0x7FFFFFFF),
    "float": (3, 32, ">f4", 1),
    "double": (3, 64, ">f8", 1),
}


@pytest.mark.parametrize("sample", RIFX.values(), ids=RIFX.keys())
@pytest.mark.parametrize("channels", [1, 2])
async def test_a_wav_with_big_endian_samples_gives_back_its_sound(
    prepare: Prepare, make_melody, assert_melody, sample: tuple[int, int, str, int], channels: int
):
    prepared = await prepare(rifx(np.repeat(make_melody(16_000), channels), channels, *sample))

    assert_melody(prepared.samples)
    assert prepared.duration_s == pytest.approx(3.0, abs=0.01)
    assert prepared.media.damage == ()


async def test_two_big_endian_wavs_are_both_read(prepare: Prepare, make_melody, assert_melody):
    prepared = await prepare(rifx(make_melody(16_000), 1, *RIFX["16 bits"]) * 2)

    assert_melody(prepared.samples, starts_s=3.0)


async def test_a_wav_in_the_samples_of_another_is_not_looked_for(prepare: Prepare):
    inner = make_tone(1.0).to_wav()

    prepared = await prepare(riff(b"WAVE", wav_format(rate_hz=8_000), chunk(b"data", inner)))

    assert prepared.duration_s == pytest.approx(len(inner) / 16_000, abs=0.01)


async def test_both_of_two_spoken_wavs_are_there(prepare: Prepare, speech_wav: bytes):
    prepared = await prepare(speech_wav * 2)

    assert prepared.segments[0].audio.pcm[:10_000] == bytes(WavAudio.from_wav(speech_wav).pcm[:10_000])
    assert prepared.duration_s == pytest.approx(2 * WavAudio.from_wav(speech_wav).duration_s)


def vorbis(sound: np.ndarray, rate_hz: int) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, sound, rate_hz, format="OGG", subtype="VORBIS")
    return file.getvalue()


def pcm(sound: np.ndarray, dtype: str) -> bytes:
    return (sound * 32_767).astype(dtype).tobytes()


def rifx(sound: np.ndarray, channels: int, tag: int, bits: int, dtype: str, scale: int) -> bytes:
    """A WAV file with big-endian header and samples."""
    samples = (sound.astype(np.float64) * scale).astype(dtype).tobytes()
    if bits == 24:
        samples = np.frombuffer(samples, np.uint8).reshape(-1, 4)[:, :3].tobytes()
    block = channels * bits // 8
    fmt = struct.pack(">HHIIHH", tag, channels, 16_000, 16_000 * block, block, bits)
    body = b"WAVEfmt " + struct.pack(">I", 16) + fmt + b"data" + struct.pack(">I", len(samples)) + samples
    return b"RIFX" + struct.pack(">I", len(body)) + body
