"""The model's input: 80 log-mel energies every 10 ms, stacked into one vector of 560 every 60 ms.

The settings are those of FunASR's WavFrontend for SenseVoiceSmall (Hamming window, 25 ms every 10 ms,
low frame rate 7/6), computed with kaldi-native-fbank, which FunASR also uses without torchaudio.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import kaldi_native_fbank
import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[np.float32]

MEL_BINS = 80
STACKED_FRAMES = 7
STACK_STRIDE = 6


def log_mel_frames(signal: npt.NDArray[np.float32]) -> Frames:
    """Log-mel energies, (frames, 80), of a 16 kHz signal in [-1, 1]."""
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq = 16_000.0
    options.frame_opts.frame_length_ms = 25.0
    options.frame_opts.frame_shift_ms = 10.0
    options.frame_opts.window_type = "hamming"
    options.frame_opts.dither = 0.0
    options.frame_opts.snip_edges = True
    options.mel_opts.num_bins = MEL_BINS
    options.energy_floor = 0.0
    fbank = kaldi_native_fbank.OnlineFbank(options)
    fbank.accept_waveform(16_000, (signal * 32768).astype(np.float32))
    fbank.input_finished()
    return np.stack([fbank.get_frame(i) for i in range(fbank.num_frames_ready)]).astype(np.float32)


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each mel bin over the corpus; both are (80,)."""

    mean: Frames
    deviation: Frames

    @classmethod
    def of(cls, clips: list[Frames]) -> Normalisation:
        frames = np.concatenate(clips).astype(np.float32)
        return cls(mean=frames.mean(axis=0), deviation=frames.std(axis=0))

    def __call__(self, frames: Frames) -> Frames:
        return (frames.astype(np.float32) - self.mean) / self.deviation


def stacked_length(frames: int) -> int:
    """Number of vectors that `frames` frames are stacked into; the last one may be padded with repeated frames."""
    return -(-frames // STACK_STRIDE)


def stacked(frames: Frames) -> Frames:
    """Low frame rate stacking, (frames, 80) -> (ceil(frames / 6), 560).

    The first and the last frame are repeated at the edges. Source: apply_lfr in
    https://github.com/modelscope/FunASR/blob/main/funasr/frontends/wav_frontend.py
    """
    vectors = stacked_length(len(frames))
    first = np.arange(vectors)[:, None] * STACK_STRIDE - (STACKED_FRAMES - 1) // 2
    index = np.clip(first + np.arange(STACKED_FRAMES), 0, len(frames) - 1)
    return frames[index].reshape(vectors, STACKED_FRAMES * MEL_BINS)


def augmented(frames: Frames, rng: random.Random) -> Frames:
    """Normalised frames, (frames, 80), with a random shift in time and level and masked stripes.

    The masks are those of SpecAugment (https://arxiv.org/abs/1904.08779), but small, because the model under-fits.
    """
    frames = frames[rng.randint(0, STACK_STRIDE - 1) :] + np.float32(rng.gauss(0, 0.25))
    for _ in range(2):
        width = rng.randint(0, 6)
        low = rng.randint(0, MEL_BINS - width)
        frames[:, low : low + width] = 0
        length = rng.randint(0, 5)
        start = rng.randint(0, len(frames) - length)
        frames[start : start + length] = 0
    return frames
