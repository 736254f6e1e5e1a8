"""The people of the conversations: Asterisk's voices, readers of books and news, and two kinds of noise."""

import numpy as np
from rapl_protocol.audio import SAMPLE_RATE_HZ

from rapl_bench.groups.speakers.mixtures import Person, Samples, float_samples, without_pauses
from rapl_bench.real.packages import SOUNDS
from rapl_bench.real.recordings import RealRecordings

READERS = {
    "jfk": ("en-jfk",),
    "libri1995": ("en-libri1995",),
    "libri1088": ("en-libri1088",),
    "libri2412": ("en-libri2412",),
    "austen": ("en-austen0870", "en-austen0890", "en-austen0920"),
    "silero": ("ru-silero-test",),
    "wenet": ("zh-wenet-long",),
    "stable-ts": ("en-stable-ts-demo",),
}
"""Recordings of the folder `real-speech` by their reader; they are left out where the folder is missing."""
_PROMPTS = 60
_MIN_PROMPT_S = 2.0
_SAME_VOICE = {"es"}
"""Languages whose prompts are spoken by the person who speaks the English ones."""


def people_of(recordings: RealRecordings) -> list[Person]:
    """Everybody with at least seven seconds of speech."""
    found = [
        without_pauses(f"asterisk-{language}", [each.pcm() for each in prompts[:_PROMPTS]])
        for language in SOUNDS
        if language not in _SAME_VOICE
        and (prompts := [each for each in recordings.prompts(language) if each.duration_s >= _MIN_PROMPT_S])
    ]
    for name, files in READERS.items():
        clips = [clip for file in files if (clip := recordings.by_name(file))]
        if clips:
            found.append(without_pauses(name, [clip.pcm() for clip in clips]))
    return found


def noises(recordings: RealRecordings) -> list[Samples]:
    """Pink noise, and a babble of voices where the folder `real-speech` is."""
    random = np.random.default_rng(0)
    spectrum = np.fft.rfft(random.normal(size=30 * SAMPLE_RATE_HZ))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    pink = np.fft.irfft(spectrum).astype(np.float32)
    babble = recordings.by_name("xx-sb-noise1")
    return [pink, *([float_samples(babble.pcm())] if babble else [])]
