"""Each format is decoded to the right sound, at the right time, at 16 kHz."""

import io
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
import soundfile
from rapl_protocol.audio import WavAudio

Prepare = Callable[[bytes], Awaitable[Any]]

ENCODED = [
    ("mp3", "libmp3lame", 44_100, "stereo"),
    ("mp3", "libmp3lame", 16_000, "mono"),
    ("ipod", "aac", 44_100, "stereo"),
    ("mp4", "aac", 48_000, "mono"),
    ("mov", "alac", 44_100, "stereo"),
    ("adts", "aac", 44_100, "stereo"),
    ("webm", "libopus", 48_000, "mono"),
    ("matroska", "flac", 48_000, "stereo"),
    ("ogg", "libopus", 48_000, "stereo"),
    ("flac", "flac", 44_100, "mono"),
    ("caf", "alac", 44_100, "mono"),
    ("aiff", "pcm_s16be", 44_100, "stereo"),
    ("au", "pcm_mulaw", 8_000, "mono"),
    ("w64", "pcm_s16le", 48_000, "mono"),
    ("mpegts", "aac", 48_000, "stereo"),
    ("mpeg", "mp2", 48_000, "stereo"),
    ("avi", "libmp3lame", 44_100, "stereo"),
    ("flv", "aac", 44_100, "stereo"),
    ("asf", "wmav2", 44_100, "stereo"),
    ("amr", "libopencore_amrnb", 8_000, "mono"),
    ("ac3", "ac3", 48_000, "5.1"),
    ("eac3", "eac3", 48_000, "stereo"),
    ("wv", "wavpack", 44_100, "mono"),
    ("tta", "tta", 44_100, "mono"),
    ("wav", "pcm_alaw", 8_000, "mono"),
    ("wav", "adpcm_ima_wav", 44_100, "mono"),
]
PCM = [
    *((rate_hz, 1, "PCM_16") for rate_hz in (8_000, 11_025, 22_050, 44_100, 48_000, 96_000)),
    *((44_100, 2, subtype) for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")),
    *((48_000, channels, "PCM_16") for channels in (3, 6, 8, 10)),
    (16_000, 1, "FLOAT"),
    (16_000, 2, "PCM_16"),
]


@pytest.mark.parametrize(("container", "codec", "rate_hz", "layout"), ENCODED)
async def test_a_format_gives_back_its_sound(
    prepare: Prepare, encode, assert_melody, container: str, codec: str, rate_hz: int, layout: str
):
    prepared = await prepare(encode(container, codec, rate_hz, layout))

    assert_melody(prepared.samples)
    assert prepared.duration_s == pytest.approx(3.0, abs=0.1)
    assert (prepared.source.sample_rate_hz, len(prepared.segments)) == (rate_hz, 1)


@pytest.mark.parametrize(("rate_hz", "channels", "subtype"), PCM)
async def test_a_wav_of_any_rate_width_and_number_of_channels_gives_back_its_sound(
    prepare: Prepare, make_melody, assert_melody, rate_hz: int, channels: int, subtype: str
):
    sound = np.tile(make_melody(rate_hz)[:, None], (1, channels))
    prepared = await prepare(written(sound, rate_hz, subtype))

    assert_melody(prepared.samples)
    assert prepared.duration_s == pytest.approx(3.0, abs=0.001)
    assert (prepared.source.container, prepared.source.channels) == ("wav", channels)


async def test_ogg_vorbis_gives_back_its_sound(prepare: Prepare, make_melody, assert_melody):
    prepared = await prepare(written(make_melody(44_100), 44_100, "VORBIS", "OGG"))

    assert_melody(prepared.samples)
    assert (prepared.source.container, prepared.source.codec) == ("ogg", "vorbis")


@pytest.mark.parametrize(
    ("container", "codec", "rate_hz"),
    [("mp3", "libmp3lame", 44_100), ("ipod", "aac", 44_100), ("webm", "libopus", 48_000), ("flac", "flac", 16_000)],
)
async def test_speech_comes_back_like_the_original_and_not_shifted(
    prepare: Prepare, encode, best_match, speech_wav: bytes, container: str, codec: str, rate_hz: int
):
    original = np.frombuffer(WavAudio.from_wav(speech_wav).pcm, "<i2") / 32768
    times = np.arange(len(original) * rate_hz // 16_000) * 16_000 / rate_hz
    sound = np.interp(times, np.arange(len(original)), original).astype(np.float32)

    samples = (await prepare(encode(container, codec, rate_hz, sound=sound))).samples

    shift, similarity = best_match(original, samples)
    assert abs(shift) <= 0.03 * 16_000
    assert similarity > 0.9


async def test_a_canonical_wav_comes_back_bit_for_bit(prepare: Prepare, speech_wav: bytes):
    prepared = await prepare(speech_wav)

    assert prepared.segments[0].audio == WavAudio(bytes(WavAudio.from_wav(speech_wav).pcm))
    assert prepared.source.codec == "pcm_s16le"


async def test_one_loud_channel_of_two_is_mixed_to_half_its_level(prepare: Prepare, make_melody, dominant_hz):
    sound = make_melody(48_000)
    samples = (await prepare(written(np.stack([sound, 0 * sound], 1), 48_000, "PCM_16"))).samples

    assert dominant_hz(samples, 1.0) == pytest.approx(440, abs=10)
    assert np.abs(samples).max() == pytest.approx(0.15, rel=0.05)


@pytest.mark.parametrize(("container", "audio", "video"), [("mp4", "aac", "libx264"), ("webm", "libopus", "libvpx")])
async def test_the_sound_of_a_video_is_used_and_its_pictures_are_not(
    prepare: Prepare, encode, assert_melody, container: str, audio: str, video: str
):
    prepared = await prepare(encode(container, audio, 48_000, "stereo", video=video))

    assert_melody(prepared.samples)
    assert prepared.source.channels == 2


async def test_a_webm_without_duration_as_browsers_record_it_gives_back_its_sound(
    prepare: Prepare, encode, assert_melody
):
    prepared = await prepare(encode("webm", "libopus", is_live=True))

    assert_melody(prepared.samples)
    assert prepared.duration_s == pytest.approx(3.0, abs=0.03)


async def test_a_wav_written_to_a_pipe_with_unknown_length_gives_back_its_sound(
    prepare: Prepare, make_melody, assert_melody
):
    media = bytearray(written(make_melody(44_100), 44_100, "PCM_16"))
    media[4:8] = media[40:44] = b"\xff\xff\xff\xff"

    assert_melody((await prepare(bytes(media))).samples)


@pytest.mark.parametrize("rates_hz", [(44_100, 16_000), (16_000, 44_100)])
async def test_a_stream_that_changes_its_rate_and_channels_in_the_middle_goes_on_in_time(
    prepare: Prepare, encode, assert_melody, rates_hz: tuple[int, int]
):
    first, second = encode("adts", "aac", rates_hz[0], "stereo"), encode("adts", "aac", rates_hz[1], "mono")

    prepared = await prepare(first + second)

    assert_melody(prepared.samples, starts_s=1024 / rates_hz[0])  # bare AAC keeps its encoder's delay
    assert prepared.duration_s == pytest.approx(6.0, abs=0.3)
    assert_melody(prepared.samples, starts_s=prepared.duration_s - 3.05)


async def test_long_audio_comes_in_segments_that_lie_end_to_end(prepare: Prepare, encode, make_melody):
    prepared = await prepare(encode("flac", "flac", 16_000, sound=np.tile(make_melody(16_000), 31)))

    ends = [segment.end_s for segment in prepared.segments]
    assert [segment.start_s for segment in prepared.segments] == [0.0, *ends[:-1]]
    assert ends[-1] == prepared.duration_s == pytest.approx(93.0)
    assert max(segment.audio.duration_s for segment in prepared.segments) <= 30.0
    assert len(prepared.samples) == 93 * 16_000


def written(sound: np.ndarray, rate_hz: int, subtype: str, container: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, sound, rate_hz, format=container, subtype=subtype)
    return file.getvalue()
