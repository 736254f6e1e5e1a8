"""The recordings that a browser drops on the page, or hears from its microphone."""

import itertools
import shutil
import wave
from dataclasses import dataclass
from pathlib import Path

from services import SAMPLE
from spoken import say

MICROPHONE_WORDS = "seven two nine"
_MICROPHONE_PAUSE_S = 3.0
"""Chromium plays the file again and again: the pause ends each turn."""
_UTTERANCES = ("one two three", "four five six", "seven eight nine")
_PAUSE_BYTES = 32_000
"""One second of 16 kHz mono s16le."""


@dataclass(frozen=True)
class Recordings:
    sample: Path
    """Six digits: `3 1 4 1 5 9.`"""
    microphone: Path
    """MICROPHONE_WORDS, and a pause."""
    nothing: Path
    """Not a recording."""
    several: Path
    """Utterances with pauses, half a minute together."""

    @property
    def environ(self) -> dict[str, str]:
        """The variables by which the browser tests find them."""
        names = ("sample", "microphone", "nothing", "several")
        return {f"RECORDING_{name.upper()}": str(getattr(self, name)) for name in names}


def write_recordings(folder: Path) -> Recordings:
    sample, microphone, nothing = folder / "sample.wav", folder / "microphone.wav", folder / "notes.mp3"
    several = folder / "several.wav"
    shutil.copy(SAMPLE, sample)
    write_pcm(microphone, say(MICROPHONE_WORDS) + bytes(int(_MICROPHONE_PAUSE_S * 32_000)))
    write_pcm(several, b"".join(say(each) + bytes(_PAUSE_BYTES) for _ in range(5) for each in _UTTERANCES))
    nothing.write_text("This is not a recording.")
    return Recordings(sample, microphone, nothing, several)


def write_long(path: Path, duration_s: float) -> Path:
    """Writes utterances with pauses, of about `duration_s` together, and returns the path."""
    pieces, size = [], 0
    for number in itertools.count():
        pieces.append(say(_UTTERANCES[number % len(_UTTERANCES)]) + bytes(_PAUSE_BYTES))
        size += len(pieces[-1])
        if size >= 32_000 * duration_s:
            break
    return write_pcm(path, b"".join(pieces))


def write_pcm(path: Path, pcm: bytes) -> Path:
    """Writes 16 kHz mono s16le as a WAV, and returns the path."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(pcm)
    return path
