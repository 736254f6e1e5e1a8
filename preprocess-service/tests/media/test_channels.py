"""The channels of a file are mixed so that no voice is lost."""

import io
import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from rapl_protocol.audio import WavAudio
from rapl_protocol.prepared import PrepareOptions

RATE_HZ = 16_000
SPEECH_WAV = Path(__file__).parents[3] / "samples" / "three-one-four.wav"
STEREO, QUAD, FIVE_ONE, SEVEN_ONE, BASS, LEFT_AND_BASS = 0x3, 0x33, 0x3F, 0x63F, 0x8, 0x9
"""Channel masks. Source: WAVEFORMATEXTENSIBLE of ksmedia.h"""


def wav(channels: np.ndarray, mask: int = 0) -> bytes:
    """A WAV file with a channel mask; 0: the places of the channels are not known.

    Args:
        channels: (channels, samples), [-1, 1]
    """
    pcm = np.rint(channels.T * 32_767).clip(-32_768, 32_767).astype("<i2").tobytes()
    count = len(channels)
    guid = struct.pack("<H", 1) + bytes.fromhex("000000001000800000aa00389b71")
    format_ = struct.pack("<HHIIHHHHI", 0xFFFE, count, RATE_HZ, RATE_HZ * 2 * count, 2 * count, 16, 22, 16, mask) + guid
    body = b"WAVEfmt " + struct.pack("<I", len(format_)) + format_ + b"data" + struct.pack("<I", len(pcm)) + pcm
    return b"RIFF" + struct.pack("<I", len(body)) + body


def noise(samples: int, level: float = 0.001, seed: int = 1) -> np.ndarray:
    return level * np.random.default_rng(seed).standard_normal(samples)


def on_channel(voice: np.ndarray, at: int, of: int) -> np.ndarray:
    """The voice on one channel; on the others there is faint noise, as a recorder writes it."""
    channels = np.stack([noise(len(voice), seed=i) for i in range(of)])
    channels[at] = voice
    return channels


def late(voice: np.ndarray, samples: int) -> np.ndarray:
    return np.concatenate([np.zeros(samples), voice[: len(voice) - samples]])


def from_half(voice: np.ndarray, first: float, second: float) -> np.ndarray:
    half = len(voice) // 2
    return np.concatenate([first * voice[:half], second * voice[half:]])


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    """float64, (samples,), [-1, 1]"""
    return np.frombuffer(WavAudio.from_wav(SPEECH_WAV.read_bytes()).pcm, "<i2") / 32_768


ONE_VOICE: dict[str, Callable[[np.ndarray], bytes]] = {
    "stereo with opposite channels": lambda v: wav(np.stack([v, -v]), STEREO),
    "opposite channels without a mask": lambda v: wav(np.stack([v, -v])),
    "opposite channels with noise of their own": lambda v: wav(
        np.stack([v + noise(len(v), 0.01), -v + noise(len(v), 0.01, 2)])
    ),
    "opposite channels, one of them quieter": lambda v: wav(np.stack([v, -0.8 * v])),
    "opposite channels with the same hum": lambda v: wav(
        np.stack([v, -v]) / 2 + 0.1 * np.sin(2 * np.pi * 50 / RATE_HZ * np.arange(len(v)))
    ),
    "opposite channels with the same offset": lambda v: wav(np.stack([v, -v]) / 2 + 0.4),
    "opposite in the second half only": lambda v: wav(np.stack([v, from_half(v, 1, -1)])),
    "opposite in the first half only": lambda v: wav(np.stack([v, from_half(v, -1, 1)])),
    "two opposite pairs": lambda v: wav(np.stack([v, -v, v, -v])),
    "an opposite pair at the back": lambda v: wav(np.stack([v, v, -v, -v]), QUAD),
    "left only": lambda v: wav(on_channel(v, 0, 2), STEREO),
    "right only": lambda v: wav(on_channel(v, 1, 2), STEREO),
    "only a bass channel": lambda v: wav(v[None], BASS),
    "left and a bass channel with the voice": lambda v: wav(on_channel(v, 1, 2), LEFT_AND_BASS),
    **{
        f"channel {at} of {of}, mask {mask:#x}": lambda v, at=at, of=of, mask=mask: wav(on_channel(v, at, of), mask)
        for at, of, mask in [
            *[(at, 6, FIVE_ONE) for at in range(6)],
            *[(at, 8, SEVEN_ONE) for at in (3, 7)],
            *[(at, of, 0) for at, of in ((2, 3), (3, 4), (3, 6), (8, 9), (5, 16), (31, 32), (63, 64))],
        ]
    },
    "all of six channels": lambda v: wav(np.tile(v, (6, 1)), FIVE_ONE),
}


@pytest.mark.parametrize("name", ONE_VOICE)
async def test_a_voice_is_heard_whatever_channels_it_is_on(prepare, best_match, voice: np.ndarray, name: str):
    prepared = await prepare(ONE_VOICE[name](voice), PrepareOptions())

    alone = await prepare(wav(voice[None]), PrepareOptions())
    assert prepared.speech_s == pytest.approx(alone.speech_s, abs=0.2)
    shift, similarity = best_match(voice, without_hum(prepared.samples))
    assert abs(shift) <= 2
    assert similarity > 0.95
    assert loudness_db(without_hum(prepared.samples)) - loudness_db(voice) > -7


def without_hum(samples: np.ndarray) -> np.ndarray:
    """The samples without what is below 80 Hz."""
    spectrum = np.fft.rfft(samples)
    spectrum[: round(80 * len(samples) / RATE_HZ)] = 0
    return np.fft.irfft(spectrum, len(samples))


def loudness_db(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(samples**2)))


def speakers(voice: np.ndarray, of: int) -> np.ndarray:
    """One speaker after the other, each on a channel of their own, the second one in the other direction of time."""
    channels = np.stack([noise(2 * len(voice), seed=i) for i in range(of)])
    channels[0, : len(voice)] += voice
    channels[of - 1, len(voice) :] += voice[::-1]
    return channels


@pytest.mark.parametrize("of", [2, 4, 6, 16])
async def test_two_speakers_on_channels_of_their_own_are_both_heard(prepare, voice: np.ndarray, of: int):
    prepared = await prepare(wav(speakers(voice, of)))

    first, second = prepared.samples[: len(voice)], prepared.samples[len(voice) : 2 * len(voice)]
    assert abs(loudness_db(first) - loudness_db(second)) < 1.5
    assert loudness_db(second) - loudness_db(voice) > -7


async def test_a_voice_in_opposite_channels_is_heard_beside_another_one(prepare, best_match, voice: np.ndarray):
    other = np.roll(voice[::-1], 5_000)

    prepared = await prepare(wav(np.stack([voice, -voice, other, other])))

    assert best_match(voice, prepared.samples)[1] > 0.6
    assert best_match(other, prepared.samples)[1] > 0.6


async def test_a_late_opposite_channel_does_not_take_the_voice_away(prepare, voice: np.ndarray):
    prepared = await prepare(wav(np.stack([voice, -late(voice, 40)])), PrepareOptions())

    assert prepared.speech_s == pytest.approx((await prepare(wav(voice[None]), PrepareOptions())).speech_s, abs=0.2)
    assert loudness_db(prepared.samples) - loudness_db(voice) > -7


@pytest.mark.parametrize("shift", [0, 3, 16])
@pytest.mark.parametrize("balance", [1.0, 0.5, 0.0])
async def test_ordinary_stereo_is_the_mean_of_its_channels(prepare, voice: np.ndarray, shift: int, balance: float):
    channels = np.stack([voice + noise(len(voice)), balance * late(voice, shift) + noise(len(voice), seed=2)])

    prepared = await prepare(wav(channels, STEREO))

    assert np.abs(prepared.samples - channels.mean(axis=0)).max() < 2 / 32_768


@pytest.mark.parametrize(("mask", "layout"), [(FIVE_ONE, "5.1"), (SEVEN_ONE, "7.1")])
async def test_the_dialogue_of_a_film_is_as_clear_as_in_the_mix_of_ffmpeg(
    prepare, best_match, voice: np.ndarray, mask: int, layout: str
):
    channels = np.stack([noise(len(voice), 0.05, seed) for seed in range(8 if mask == SEVEN_ONE else 6)])
    channels[2], channels[3] = voice, 0.2 * np.sin(2 * np.pi * 40 * np.arange(len(voice)) / RATE_HZ)

    mixed = (await prepare(wav(channels, mask))).samples

    assert best_match(voice, without_hum(mixed))[1] > best_match(voice, mix_of_ffmpeg(channels, layout))[1] - 0.03
    assert loudness_db(mixed) - loudness_db(voice) > -8


def mix_of_ffmpeg(channels: np.ndarray, layout: str) -> np.ndarray:
    packed = channels.T.astype(np.float32).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
    frame.sample_rate = RATE_HZ
    resampler = av.AudioResampler("fltp", "mono", RATE_HZ)
    return np.concatenate([part.to_ndarray()[0] for part in [*resampler.resample(frame), *resampler.resample(None)]])


async def test_the_mix_does_not_jump_where_a_channel_is_turned_over(prepare, make_melody):
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(4 * RATE_HZ) / RATE_HZ)
    prepared = await prepare(wav(np.stack([tone, from_half(tone, 1, -1)])))

    steepest = 0.5 * 2 * np.pi * 440 / RATE_HZ
    assert np.abs(np.diff(prepared.samples)).max() < 1.3 * steepest


async def test_a_channel_of_numbers_that_are_no_samples_does_not_silence_the_others(prepare, best_match, voice):
    channels = np.stack([voice, np.full(len(voice), np.nan), np.full(len(voice), np.inf)]).astype(np.float32)
    written = io.BytesIO()
    soundfile.write(written, channels.T, RATE_HZ, format="WAV", subtype="FLOAT")

    prepared = await prepare(written.getvalue())

    assert best_match(voice, prepared.samples - prepared.samples.mean())[1] > 0.9


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        *[("wav", f"pcm_{name}") for name in ("u8", "s16le", "s24le", "s32le", "s64le", "f32le", "f64le")],
        *[("flac", "flac"), ("mp4", "alac"), ("mp4", "aac"), ("matroska", "ac3")],
    ],
)
@pytest.mark.parametrize("layout", ["stereo", "3.0"])
async def test_opposite_channels_are_mixed_in_every_sample_format(
    prepare, encode, best_match, voice: np.ndarray, container: str, codec: str, layout: str
):
    at_48_khz = np.interp(np.arange(3 * len(voice)) / 3, np.arange(len(voice)), voice)
    signs = np.array([1, -1, 1])[: 2 if layout == "stereo" else 3, None]

    prepared = await prepare(encode(container, codec, 48_000, layout, signs * at_48_khz))

    assert best_match(voice, prepared.samples)[1] > 0.95
    assert loudness_db(prepared.samples) - loudness_db(voice) > -4


@pytest.mark.parametrize(
    ("codec", "layout"), [("alac", "7.1(wide)"), ("wavpack", "8 channels"), ("wavpack", "16 channels")]
)
async def test_many_channels_in_planes_of_their_own_are_mixed(
    prepare, encode, best_match, voice, codec: str, layout: str
):
    channels = on_channel(voice, 7, av.AudioLayout(layout).nb_channels)

    prepared = await prepare(encode("matroska", codec, RATE_HZ, layout, channels))

    assert best_match(voice, prepared.samples)[1] > 0.95


@pytest.mark.parametrize("samples", [1, 2, 3, 500, 8_193])
@pytest.mark.parametrize("of", [2, 3])
async def test_however_few_samples_are_mixed(prepare, samples: int, of: int):
    prepared = await prepare(wav(np.full((of, samples), 0.5)))

    assert len(prepared.samples) == samples
