"""Speech with pauses, and what a session with it must give."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from rapl_preprocess.speech.silero import SpeechModel

SPEECH_WAV = Path(__file__).parents[3] / "samples" / "three-one-four.wav"


@pytest.fixture(scope="session")
def model() -> SpeechModel:
    return SpeechModel.load()


@pytest.fixture(scope="session")
def conversation() -> bytes:
    """About 13 s of 16 kHz mono s16le: three times the same speech, each quieter than the one before, with pauses."""
    speech, rate_hz = soundfile.read(SPEECH_WAV, dtype="float64")
    assert rate_hz == 16_000
    pause = np.zeros(20_000)
    samples = np.concatenate([part for gain in (1, 0.3, 0.05) for part in (speech * gain, pause)])
    samples += np.random.default_rng(1).standard_normal(len(samples)) * 1e-4
    return (samples * 32_767).clip(-32_768, 32_767).astype("<i2").tobytes()
