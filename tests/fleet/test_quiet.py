"""Audio without speech has an empty text and calls no engine; quiet speech is detected."""

import re

import numpy as np
import pytest
from media import as_media
from rapl_protocol.audio import WavAudio
from services import SELFTEST, Fleet
from spoken import say

RATE_HZ = 16_000
LONG_S = 6.0


def silence() -> np.ndarray:
    return np.zeros(int(LONG_S * RATE_HZ))


def white_noise() -> np.ndarray:
    return np.random.default_rng(1).normal(0, 0.05, int(LONG_S * RATE_HZ))


def tone() -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * 440 * np.arange(int(LONG_S * RATE_HZ)) / RATE_HZ)


def music() -> np.ndarray:
    """Decaying chords with overtones, and a drum on every beat."""
    time_s = np.arange(int(LONG_S * RATE_HZ)) / RATE_HZ
    in_beat_s = time_s % 0.5
    drum = np.random.default_rng(2).normal(0, 0.15, len(time_s)) * np.exp(-40 * in_beat_s)
    sound = drum
    for root_hz in (220.0, 277.2, 329.6):
        step = root_hz * 2 ** (np.floor(time_s / 2) % 3 / 6)
        for overtone in (1, 2, 3, 4):
            sound = sound + 0.06 / overtone * np.exp(-1.5 * in_beat_s) * np.sin(2 * np.pi * overtone * step * time_s)
    return sound


def pcm(signal: np.ndarray) -> bytes:
    return (signal.clip(-1, 1) * 32_767).astype("<i2").tobytes()


def engine_calls(fleet: Fleet) -> int:
    return len(re.findall(r"path=/v1/transcribe ", fleet.sensevoice.log.read_text()))


@pytest.mark.parametrize("container", ["wav", "m4a", "webm"])
@pytest.mark.parametrize("signal", [silence, white_noise, tone, music])
def test_audio_without_speech_is_an_empty_text_and_calls_no_engine(fleet: Fleet, signal, container: str):
    audio = pcm(signal())
    media = WavAudio(audio).to_wav() if container == "wav" else as_media(audio, container)
    before = engine_calls(fleet)

    answer = fleet.transcribe(media, SELFTEST)

    assert (answer.status_code, answer.json()["text"]) == (200, "")
    assert answer.headers["x-rapl-coverage"] == "1.0000"
    assert engine_calls(fleet) == before


@pytest.mark.parametrize("container", ["wav", "m4a"])
def test_speech_at_45_db_below_full_scale_is_detected(fleet: Fleet, container: str):
    samples = np.frombuffer(say("seven four two nine"), np.int16) / 32_768
    loudness = np.sqrt((samples**2).mean())
    quiet = np.concatenate([np.zeros(8_000), samples * 10 ** (-45 / 20) / loudness, np.zeros(8_000)])
    media = WavAudio(pcm(quiet)).to_wav() if container == "wav" else as_media(pcm(quiet), container)

    answer = fleet.transcribe(media, SELFTEST)

    assert answer.json()["text"].rstrip(".") == "7 4 2 9"
