"""The turns that clients of /v1/realtime speak, and their texts."""

from pathlib import Path

import numpy as np
from services import DIGITS, SELFTEST
from spoken import say

KEY = "sk-acceptance"
SPOKEN = ("seven nine four two nine", "nine two seven", "six two four nine")
"""The tiny model on MLX writes some other last words twice if a turn ends close to them; not these."""
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
COMMITTING_NAMES = {SELFTEST: "gpt-live-transcribe", DIGITS: "gpt-realtime-whisper"}
"""Names for which clients commit turns themselves, by the model that has this name in the gateway `secured`."""


def at_24_khz(pcm: bytes) -> bytes:
    """16 kHz audio at the rate that clients of OpenAI's API send."""
    samples = np.frombuffer(pcm, np.int16)
    at = np.arange(len(samples) * 3 // 2) * 2 / 3
    return np.interp(at, np.arange(len(samples)), samples).astype(np.int16).tobytes()


def write_turns(folder: Path, rate_hz: int, silence_s: float) -> list[Path]:
    """A file for each turn of SPOKEN: mono s16le, with the silence that follows the turn."""
    files = [folder / f"{number}.pcm" for number in range(len(SPOKEN))]
    for file, words in zip(files, SPOKEN, strict=True):
        pcm = say(words) + bytes(int(silence_s * 32_000))
        file.write_bytes(at_24_khz(pcm) if rate_hz == 24_000 else pcm)
    return files


def transcript(words: str, model: str) -> str:
    """The text of a turn of SPOKEN by the model."""
    return words if model == DIGITS else " ".join(str(_NUMBERS.index(word)) for word in words.split()) + "."
