"""Spoken digits from espeak-ng: the audio for training and measuring the model."""

import random
import subprocess
from dataclasses import dataclass

import numpy as np
from scipy.signal import resample_poly
from tokenizer import DIGITS

SAMPLE_RATE_HZ = 16_000
ESPEAK_SAMPLE_RATE_HZ = 22_050
WAV_HEADER_BYTES = 44
MAX_DIGITS = 6

US_VOICE = "en-us"
OTHER_VOICES = (
    "en", "en-gb-x-rp", "en-gb-scotland", "en-029",
    "en-us+m1", "en-us+m3", "en-us+m7", "en-us+f1", "en-us+f2", "en-us+f4",
)  # fmt: skip

US_VOICE_SHARE = 0.45
SILENT_SHARE = 0.07
TWO_PART_SHARE = 0.2
PADDED_SHARE = 0.7
NOISY_SHARE = 0.6


@dataclass(frozen=True)
class Clip:
    audio: np.ndarray
    """float32, (samples,), [-1, 1], 16 kHz."""
    words: tuple[str, ...]
    """The digits spoken, in order; empty for a clip without speech."""


def synthesize(words: tuple[str, ...], voice: str, speed_wpm: int, pitch: int) -> np.ndarray:
    """Speaks `words` with espeak-ng; float32, (samples,), [-1, 1], 16 kHz. `pitch` is espeak's 0 to 99."""
    command = ["espeak-ng", "-v", voice, "-s", str(speed_wpm), "-p", str(pitch), "--stdout", " ".join(words)]
    wav = subprocess.run(command, check=True, capture_output=True).stdout
    samples = np.frombuffer(wav, dtype="<i2", offset=WAV_HEADER_BYTES).astype(np.float32) / 32768
    return resample_poly(samples, SAMPLE_RATE_HZ // 50, ESPEAK_SAMPLE_RATE_HZ // 50).astype(np.float32)


def silence(duration_s: float) -> np.ndarray:
    return np.zeros(round(duration_s * SAMPLE_RATE_HZ), dtype=np.float32)


def white_noise(rng: random.Random, samples: int, max_level: float) -> np.ndarray:
    """Returns white noise; its standard deviation is log-uniform between 3e-5 and `max_level`."""
    level = 10 ** rng.uniform(-4.5, np.log10(max_level))
    generator = np.random.default_rng(rng.getrandbits(64))
    return generator.normal(0, level, samples).astype(np.float32)


def random_words(rng: random.Random) -> tuple[str, ...]:
    return tuple(rng.choice(DIGITS) for _ in range(rng.randint(1, MAX_DIGITS)))


def clean_clip(rng: random.Random, voice: str) -> Clip:
    """Returns an utterance without noise, 130 to 190 words a minute, for measuring the word error rate."""
    words = random_words(rng)
    return Clip(synthesize(words, voice, rng.randint(130, 190), rng.randint(30, 70)), words)


def _spoken(rng: random.Random, words: tuple[str, ...]) -> np.ndarray:
    """Speaks `words` at once, or in two parts with a pause between them."""
    voice = US_VOICE if rng.random() < US_VOICE_SHARE else rng.choice(OTHER_VOICES)
    speed_wpm, pitch = rng.randint(120, 200), rng.randint(30, 70)
    if len(words) == 1 or rng.random() >= TWO_PART_SHARE:
        return synthesize(words, voice, speed_wpm, pitch)
    cut = rng.randint(1, len(words) - 1)
    first, second = (synthesize(part, voice, speed_wpm, pitch) for part in (words[:cut], words[cut:]))
    return np.concatenate([first, silence(rng.uniform(0.1, 1.0)), second])


def _speechless(rng: random.Random) -> Clip:
    """Returns digital silence, white noise or a steady tone, 1 to 4 s."""
    audio = silence(rng.uniform(1.0, 4.0))
    kind = rng.choice(("digital silence", "noise", "noise", "tone"))
    if kind == "noise":
        audio = white_noise(rng, len(audio), max_level=0.1)
    elif kind == "tone":
        time_s = np.arange(len(audio), dtype=np.float32) / SAMPLE_RATE_HZ
        audio = np.sin(2 * np.pi * rng.uniform(80, 2000) * time_s) * rng.uniform(0.005, 0.5)
    return Clip(audio.astype(np.float32), ())


def training_clip(seed: int, index: int) -> Clip:
    """Returns clip `index` of the training set; it depends only on the arguments, so clips can be made in parallel."""
    rng = random.Random(f"{seed}/{index}")
    if rng.random() < SILENT_SHARE:
        return _speechless(rng)
    words = random_words(rng)
    audio = _spoken(rng, words) * rng.uniform(0.2, 1.0)
    if rng.random() < PADDED_SHARE:
        audio = np.concatenate([silence(rng.uniform(0, 0.8)), audio, silence(rng.uniform(0, 0.8))])
    if rng.random() < NOISY_SHARE:
        audio = audio + white_noise(rng, len(audio), max_level=0.005)
    return Clip(audio.astype(np.float32), words)
