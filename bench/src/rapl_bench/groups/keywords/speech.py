"""Synthetic speech with noise, so that a model has doubts. It imports no module of RAPL, like the program beside it."""

import random
import subprocess

import numpy as np

COMMANDS = (
    "start", "open", "play", "next", "back", "up", "right", "yes", "on", "door", "volume", "hello", "please", "turn",
    "set", "zero", "one", "two", "three", "four", "six", "seven", "eight", "nine",
)  # fmt: skip
LISTED_WORDS = ("stop", "close", "pause", "left", "off", "no", "light", "down", "music", "five")
"""With COMMANDS, all English words of the self-test model. Many sound alike through noise: off and on, no and zero."""
VOICES = ("m5", "m8", "f4", "f5", "klatt3", "Jacky", "steph", "john")
"""Variants of espeak-ng's voice that the self-test model was not trained with."""
SNR_DB = 20
RATE_HZ, ESPEAK_RATE_HZ, HEADER_BYTES = 16_000, 22_050, 44


def spoken(text: str, voice: str, rng: random.Random, snr_db: float = SNR_DB) -> bytes:
    """16-bit PCM at 16 kHz, with white noise."""
    command = ["espeak-ng", "-v", f"{voice}+{rng.choice(VOICES)}", "-s", str(rng.choice((150, 165, 180))), "--stdout"]
    wav = subprocess.run([*command, text], capture_output=True, check=True).stdout
    speech = np.frombuffer(wav[HEADER_BYTES:], "<i2").astype(np.float64)
    samples = len(speech) * RATE_HZ // ESPEAK_RATE_HZ
    speech = np.fft.irfft(np.fft.rfft(speech)[: samples // 2 + 1], samples)
    speech = np.pad(speech * 0.5 / np.abs(speech).max(), RATE_HZ // 5)
    level = np.sqrt(np.mean(speech[np.abs(speech) > 1e-3] ** 2))
    noise = np.random.default_rng(rng.getrandbits(32)).normal(0, level * 10 ** (-snr_db / 20), len(speech))
    return (np.clip(speech + noise, -1, 1) * 32767).astype("<i2").tobytes()
