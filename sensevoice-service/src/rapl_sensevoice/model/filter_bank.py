"""Kaldi's log-mel filter bank in numpy. It takes a third of kaldi-native-fbank's time (decision 0007).

Source: feature-window.cc and mel-computations.cc of Kaldi, with the options of funasr/frontends/wav_frontend.py,
except dither, which would give different texts for the same audio.
"""

from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from rapl_protocol.audio import SAMPLE_RATE_HZ

Floats: TypeAlias = npt.NDArray[np.float32]

MEL_BINS = 80
WINDOW_MS, SHIFT_MS = 25, 10
WINDOW_SAMPLES = SAMPLE_RATE_HZ * WINDOW_MS // 1000
"""Samples in a window. Shorter audio has no frame."""
_SHIFT_SAMPLES = SAMPLE_RATE_HZ * SHIFT_MS // 1000
_TRANSFORM_SAMPLES = 512
_LOWEST_HZ, _HIGHEST_HZ = 20.0, SAMPLE_RATE_HZ / 2
_EMPHASIS = np.float32(0.97)
_LEAST_ENERGY = np.finfo(np.float32).eps
_FRAMES_AT_ONCE = 32
"""The spectra of 32 frames fit into a core's cache. With 64 frames or more, the product with the filters uses BLAS's
threads. They spin, which takes two to four times the processor time."""


def log_mel(samples: Floats) -> Floats:
    """Returns float32, (frames, MEL_BINS): one frame per 10 ms, for whole windows only.

    Args:
        samples: (samples,), at least WINDOW_SAMPLES, in the range of 16-bit integers.
    """
    count = 1 + (len(samples) - WINDOW_SAMPLES) // _SHIFT_SAMPLES
    starts = np.arange(count) * _SHIFT_SAMPLES
    samples = samples - np.rint(samples.mean())  # float32 is more precise near 0; window means are removed anyway
    emphasised = samples.copy()
    emphasised[1:] -= _EMPHASIS * samples[:-1]
    windows = np.lib.stride_tricks.sliding_window_view(emphasised, WINDOW_SAMPLES)[::_SHIFT_SAMPLES]
    firsts = samples[starts] * (1 - _EMPHASIS)  # the first value of each window: Kaldi repeats its first sample
    offsets = _means(samples, starts) * (1 - _EMPHASIS)
    frames = np.empty((count, MEL_BINS), np.float32)
    for begin in range(0, count, _FRAMES_AT_ONCE):
        some = slice(begin, begin + _FRAMES_AT_ONCE)
        frames[some] = _log_mel(windows[some], firsts[some], offsets[some])
    return frames


def _means(samples: Floats, starts: npt.NDArray[np.int64]) -> Floats:
    """float32, (frames,): the mean of each window, which Kaldi subtracts."""
    sums = np.concatenate([[0.0], np.cumsum(samples, dtype=np.float64)])
    return ((sums[starts + WINDOW_SAMPLES] - sums[starts]) / WINDOW_SAMPLES).astype(np.float32)


def _log_mel(windows: Floats, firsts: Floats, offsets: Floats) -> Floats:
    framed = np.zeros((len(windows), _TRANSFORM_SAMPLES), np.float32)
    framed[:, :WINDOW_SAMPLES] = windows
    framed[:, 0] = firsts
    framed[:, :WINDOW_SAMPLES] -= offsets[:, None]
    framed[:, :WINDOW_SAMPLES] *= _window()
    spectrum = np.fft.rfft(framed)[:, :-1]
    energies = (spectrum.real**2 + spectrum.imag**2) @ _mel_filters()
    return np.log(np.maximum(energies, _LEAST_ENERGY))


@lru_cache(1)
def _window() -> Floats:
    """float32, (WINDOW_SAMPLES,): the symmetric Hamming window."""
    return np.hamming(WINDOW_SAMPLES).astype(np.float32)


@lru_cache(1)
def _mel_filters() -> Floats:
    """float32, (_TRANSFORM_SAMPLES / 2, MEL_BINS): triangles of equal width in mel, without the highest frequency."""
    lowest, highest = _mel(np.array([_LOWEST_HZ, _HIGHEST_HZ]))
    step = (highest - lowest) / (MEL_BINS + 1)
    places = _mel(np.arange(_TRANSFORM_SAMPLES // 2) * (SAMPLE_RATE_HZ / _TRANSFORM_SAMPLES))[:, None]
    rising = (places - lowest) / step - np.arange(MEL_BINS)
    return np.maximum(0, np.minimum(rising, 2 - rising)).astype(np.float32)


def _mel(frequency_hz: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return 1127 * np.log1p(frequency_hz / 700)
