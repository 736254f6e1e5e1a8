"""The people of the conversations: Asterisk's voices, readers of books and news, and two kinds of noise."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rapl_protocol.audio import SAMPLE_RATE_HZ
from rapl_protocol.speakers import MIN_REFERENCE_S

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
_MIN_TALK_S = 4.0
REFERENCE_S = 8.0
_SAME_VOICE = {"es"}
"""Languages whose prompts are spoken by the person who speaks the English ones."""


@dataclass(frozen=True, slots=True)
class KnownPerson:
    talk: Person
    reference: bytes
    """s16le, 16 kHz: at most REFERENCE_S of speech that is not in `talk`."""


def people_of(recordings: RealRecordings) -> list[Person]:
    """Everybody, with all speech that is there."""
    return [without_pauses(name, clips) for name, clips in _clips(recordings)]


def people_with_references(recordings: RealRecordings) -> list[KnownPerson]:
    """Everybody with enough speech for a reference and for a talk."""
    parted = [(name, *(_recordings_apart(name, clips) if len(clips) > 1 else _parts_of(without_pauses(name, clips))))
              for name, clips in _clips(recordings)]  # fmt: skip
    return [
        KnownPerson(Person(name, talk), (np.clip(reference, -1, 1) * 32767).astype("<i2").tobytes())
        for name, talk, reference in parted
        if len(talk) >= _MIN_TALK_S * SAMPLE_RATE_HZ and len(reference) >= MIN_REFERENCE_S * SAMPLE_RATE_HZ
    ]


def _recordings_apart(name: str, clips: Sequence[npt.NDArray[np.int16]]) -> tuple[Samples, Samples]:
    """The talk and the reference, which are of different recordings; the reference is of the last ones."""
    size = round(REFERENCE_S * SAMPLE_RATE_HZ)
    talk, reference = list(clips), list[npt.NDArray[np.int16]]()
    while len(talk) > 1 and sum(map(len, reference)) < size:
        reference.insert(0, talk.pop())
    return without_pauses(name, talk).samples, without_pauses(name, reference).samples[:size]


def _parts_of(person: Person) -> tuple[Samples, Samples]:
    """The talk and the reference out of one recording: its last third is the reference, and a second is left out."""
    size = min(round(REFERENCE_S * SAMPLE_RATE_HZ), len(person.samples) // 3)
    return person.samples[: -size - SAMPLE_RATE_HZ], person.samples[-size:]


def _clips(recordings: RealRecordings) -> Iterator[tuple[str, list[npt.NDArray[np.int16]]]]:
    """The recordings of each person (16 kHz) by name."""
    for language in SOUNDS:
        if language not in _SAME_VOICE:
            prompts = [each for each in recordings.prompts(language) if each.duration_s >= _MIN_PROMPT_S]
            yield f"asterisk-{language}", [each.pcm() for each in prompts[:_PROMPTS]]
    for name, files in READERS.items():
        clips = [clip.pcm() for file in files if (clip := recordings.by_name(file))]
        if clips:
            yield name, clips


def noises(recordings: RealRecordings) -> list[Samples]:
    """Pink noise, and a babble of voices where the folder `real-speech` is."""
    random = np.random.default_rng(0)
    spectrum = np.fft.rfft(random.normal(size=30 * SAMPLE_RATE_HZ))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    pink = np.fft.irfft(spectrum).astype(np.float32)
    babble = recordings.by_name("xx-sb-noise1")
    return [pink, *([float_samples(babble.pcm())] if babble else [])]
