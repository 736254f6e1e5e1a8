"""The recordings that a browser drops on the page, or hears from its microphone."""

import shutil
import wave
from dataclasses import dataclass
from pathlib import Path

from services import SAMPLE
from spoken import say

MICROPHONE_WORDS = "seven two nine"
_PAUSE_S = 3.0
"""Chromium plays the file again and again: the pause ends each turn."""


@dataclass(frozen=True)
class Recordings:
    sample: Path
    """Six digits: `3 1 4 1 5 9.`"""
    microphone: Path
    """MICROPHONE_WORDS, and a pause, at 48 kHz."""
    nothing: Path
    """Not a recording."""
    several: Path
    """Several utterances with pauses: a minute of speech."""

    @property
    def environ(self) -> dict[str, str]:
        """The variables by which the browser tests find them."""
        names = ("sample", "microphone", "nothing", "several")
        return {f"RECORDING_{name.upper()}": str(getattr(self, name)) for name in names}


def write_recordings(folder: Path) -> Recordings:
    sample, microphone, nothing = folder / "sample.wav", folder / "microphone.wav", folder / "notes.mp3"
    several = folder / "several.wav"
    shutil.copy(SAMPLE, sample)
    _write(microphone, say(MICROPHONE_WORDS) + bytes(int(_PAUSE_S * 32_000)))
    words = ("one two three", "four five six", "seven eight nine")
    _write(several, b"".join(say(each) + bytes(32_000) for _ in range(5) for each in words))
    nothing.write_text("This is not a recording.")
    return Recordings(sample, microphone, nothing, several)


def _write(path: Path, pcm: bytes) -> None:
    """Writes 16 kHz mono s16le as a WAV."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(pcm)
