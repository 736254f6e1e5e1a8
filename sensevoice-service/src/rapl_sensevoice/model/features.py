"""SenseVoice's input: log-mel frames, stacked and normalised exactly as in FunASR's WavFrontend.

Source: funasr/frontends/wav_frontend.py and funasr/utils/fbank.py, FunASR 1.4.16.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rapl_protocol.audio import SAMPLE_RATE_HZ, WavAudio

from rapl_sensevoice.model.filter_bank import MEL_BINS, SHIFT_MS, WINDOW_MS, WINDOW_SAMPLES, Floats, log_mel
from rapl_sensevoice.unusable import ModelUnusable

STACKED, STEP = 7, 6
"""Seven frames are stacked into one, and the next stack begins six frames later ("low frame rate")."""
FRAME_MS = SHIFT_MS * STEP
DIMENSIONS = MEL_BINS * STACKED
FRONTEND_CONF = {
    "fs": SAMPLE_RATE_HZ, "window": "hamming", "n_mels": MEL_BINS,
    "frame_length": WINDOW_MS, "frame_shift": SHIFT_MS, "lfr_m": STACKED, "lfr_n": STEP,
}  # fmt: skip
"""The same settings, with their names in FunASR's config.yaml."""


@dataclass(frozen=True, slots=True, eq=False)
class Cmvn:
    """The normalisation of features: (features + shift) * scale."""

    shift: Floats
    """float32, (DIMENSIONS,): the negative means."""
    scale: Floats
    """float32, (DIMENSIONS,): the inverse standard deviations."""

    @classmethod
    def read(cls, path: Path) -> "Cmvn":
        """Reads Kaldi's text format.

        Raises:
            ModelUnusable: the file has another format or another number of features.
        """
        lines = [line.split() for line in path.read_text().splitlines()]
        rows = [line[3:-1] for line in lines if line[:1] == ["<LearnRateCoef>"]]
        try:
            [shift, scale] = [np.array(row, np.float32) for row in rows]
        except ValueError:
            shift = scale = np.empty(0, np.float32)
        if shift.shape != (DIMENSIONS,) or scale.shape != (DIMENSIONS,):
            raise ModelUnusable(
                f"{path.name} does not contain {DIMENSIONS} means and standard deviations", "Replace it."
            )
        return cls(shift, scale)


def features(audio: WavAudio, cmvn: Cmvn) -> Floats:
    """Returns float32, (frames, DIMENSIONS): one frame per 60 ms.

    Audio shorter than one window is padded with silence.
    """
    return (_stacked(log_mel(_samples(audio))) + cmvn.shift) * cmvn.scale


def frames_of(audio: WavAudio) -> int:
    """The number of frames that `features` returns."""
    samples = max(WINDOW_SAMPLES, len(audio.pcm) // 2)
    windows = 1 + (samples - WINDOW_SAMPLES) // (SAMPLE_RATE_HZ * SHIFT_MS // 1000)
    return -(-windows // STEP)


def _samples(audio: WavAudio) -> Floats:
    """float32, (samples,), in the range of 16-bit integers, as Kaldi expects."""
    samples = np.frombuffer(audio.pcm, "<i2").astype(np.float32)
    return np.pad(samples, (0, max(0, WINDOW_SAMPLES - len(samples))))


def _stacked(frames: Floats) -> Floats:
    """Stacks frames. To fill all stacks, it repeats the first frame at the start and the last one at the end."""
    stacks = -(-len(frames) // STEP)
    before = (STACKED - 1) // 2
    after = max(0, (stacks - 1) * STEP + STACKED - before - len(frames))
    padded = np.pad(frames, ((before, after), (0, 0)), mode="edge")
    starts = np.arange(stacks)[:, None] * STEP
    return padded[starts + np.arange(STACKED)].reshape(stacks, DIMENSIONS)
