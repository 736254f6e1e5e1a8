"""Log-mel frames compared with kaldi-native-fbank, which FunASR uses too."""

from collections.abc import Callable

import kaldi_native_fbank
import numpy as np
import pytest
from rapl_protocol.audio import WavAudio
from rapl_sensevoice.model.filter_bank import Floats, log_mel

SECOND = 16_000
TIMES_S = np.arange(SECOND) / SECOND


def noise(level: float) -> Floats:
    return np.random.default_rng(0).normal(0, level, SECOND).round().clip(-32768, 32767)


SOUNDS: dict[str, Callable[[], Floats]] = {
    "noise": lambda: noise(1000),
    "clipped noise": lambda: noise(30_000),
    "the last bit's noise": lambda: noise(0.5),
    "a tone": lambda: (np.sin(TIMES_S * 2 * np.pi * 440) * 9000).round(),
    "a tone with an offset": lambda: (np.sin(TIMES_S * 2 * np.pi * 440) * 900).round() + 20_000,
    "silence": lambda: np.zeros(SECOND),
    "only an offset": lambda: np.full(SECOND, 12_345.0),
    "one window": lambda: noise(1000)[:400],
    "one window and a part": lambda: noise(1000)[:559],
    "more windows than are computed at once": lambda: np.tile(noise(1000), 3)[: 33 * 160 + 400],
}


def by_kaldi(samples: Floats) -> Floats:
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither = 0.0
    options.frame_opts.window_type = "hamming"
    options.mel_opts.num_bins = 80
    options.energy_floor = 0.0
    fbank = kaldi_native_fbank.OnlineFbank(options)
    fbank.accept_waveform(SECOND, samples)  # pyright: ignore[reportArgumentType]
    fbank.input_finished()
    return np.stack([fbank.get_frame(i) for i in range(fbank.num_frames_ready)])


@pytest.mark.parametrize("sound", SOUNDS)
def test_frames_are_those_of_kaldi(sound: str):
    samples = SOUNDS[sound]().astype(np.float32)

    np.testing.assert_allclose(log_mel(samples), by_kaldi(samples), rtol=0, atol=0.002)


def test_frames_of_speech_are_those_of_kaldi(digits: WavAudio):
    samples = np.frombuffer(digits.pcm, "<i2").astype(np.float32)

    np.testing.assert_allclose(log_mel(samples), by_kaldi(samples), rtol=0, atol=0.002)


def test_frames_are_float32(digits: WavAudio):
    assert log_mel(np.frombuffer(digits.pcm, "<i2").astype(np.float32)).dtype == np.float32
