"""Conversations of several minutes, made of recordings of single people, with the truth of who speaks when."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from rapl_protocol.audio import SAMPLE_RATE_HZ

Samples: TypeAlias = npt.NDArray[np.float32]
Turns: TypeAlias = tuple[tuple[float, float, str], ...]
"""Start and end in seconds, and who speaks."""

LONGEST_TURN_S, SHORTEST_TURN_S = 20.0, 1.0
OVERLAPPED = 0.15
"""Share of turns that begin before the one before has ended."""
SNR_DB = (12.0, 25.0)
_FRAME = SAMPLE_RATE_HZ // 100
_SPEECH_BELOW_PEAK_DB = 30.0
"""In the pauses of one recording, the hall is 32 to 37 dB below the peak."""
_LONGEST_PAUSE_FRAMES = 25


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    samples: Samples
    """[-1, 1], 16 kHz: everything that is there of the person, without long pauses."""


@dataclass(frozen=True, slots=True)
class Conversation:
    name: str
    samples: Samples
    turns: Turns
    """Overlapping turns of different people are both there."""

    @property
    def duration_s(self) -> float:
        return len(self.samples) / SAMPLE_RATE_HZ

    @property
    def people(self) -> int:
        return len({name for _, _, name in self.turns})

    def pcm(self) -> bytes:
        """s16le."""
        return (np.clip(self.samples, -1, 1) * 32767).astype("<i2").tobytes()


def conversation(people: Sequence[Person], noise: Samples, duration_s: float, seed: int) -> Conversation:
    """Makes a conversation of these people.

    Args:
        people: who takes part; two turns in a row are never the same person's.
        noise: is repeated, and mixed in at a random level of SNR_DB.
        duration_s: about how long it is.
        seed: the same seed makes the same conversation.
    """
    random = np.random.default_rng(seed)
    total = np.zeros(round((duration_s + LONGEST_TURN_S + 2) * SAMPLE_RATE_HZ), np.float32)
    gains = {person.name: 10 ** (random.uniform(-4, 4) / 20) for person in people}
    turns: list[tuple[float, float, str]] = []
    at_s, before = random.uniform(0.2, 1.0), None
    order = list(people)
    while at_s < duration_s:
        person = order.pop(0) if order else people[int(random.integers(len(people)))]
        if person is before:
            continue
        said = _cut(person, random) * gains[person.name]
        start = round(at_s * SAMPLE_RATE_HZ)
        total[start : start + len(said)] += said
        turns += [(at_s + a, at_s + b, person.name) for a, b in speech_in(said)]
        end_s = at_s + len(said) / SAMPLE_RATE_HZ
        at_s = end_s - random.uniform(0.3, 1.5) if random.random() < OVERLAPPED else end_s + random.uniform(0.1, 1.0)
        at_s, before = max(0.0, at_s), person
    whole = total[: round((max(end for _, end, _ in turns) + 0.5) * SAMPLE_RATE_HZ)]
    return Conversation(f"mixture-{seed}", _noisy(whole, noise, random), tuple(sorted(turns)))


def speech_in(samples: Samples) -> list[tuple[float, float]]:
    """Where there is speech in a clean recording, by its level: seconds. Pauses of a quarter of a second are part."""
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
    if not len(frames):
        return []
    level_db = 10 * np.log10(np.square(frames).mean(axis=1) + 1e-10)
    loud = np.flatnonzero(level_db > np.percentile(level_db, 95) - _SPEECH_BELOW_PEAK_DB)
    runs = np.split(loud, np.flatnonzero(np.diff(loud) > _LONGEST_PAUSE_FRAMES) + 1)
    return [(run[0] / 100, (run[-1] + 1) / 100) for run in runs if len(run) > 5]


def float_samples(pcm: npt.NDArray[np.int16]) -> Samples:
    return (pcm / 32768).astype(np.float32)


def without_pauses(name: str, recordings: Sequence[npt.NDArray[np.int16]]) -> Person:
    """The speech of one person's recordings, one after another at the same level."""
    parts: list[Samples] = []
    for pcm in recordings:
        samples = float_samples(pcm)
        for start_s, end_s in speech_in(samples):
            part = samples[round(start_s * SAMPLE_RATE_HZ) : round(end_s * SAMPLE_RATE_HZ)]
            parts.append(part * np.float32(0.06 / max(1e-4, float(np.sqrt(np.square(part).mean())))))
    return Person(name, np.concatenate(parts))


def _cut(person: Person, random: np.random.Generator) -> Samples:
    """A part of what the person says, whose length is spread evenly on a logarithmic scale."""
    duration_s = np.exp(random.uniform(np.log(SHORTEST_TURN_S), np.log(LONGEST_TURN_S)))
    length = min(len(person.samples), round(duration_s * SAMPLE_RATE_HZ))
    start = int(random.integers(len(person.samples) - length + 1))
    said = person.samples[start : start + length].copy()
    fade = np.linspace(0, 1, 160, dtype=np.float32)
    said[:160] *= fade
    said[-160:] *= fade[::-1]
    return said


def _noisy(samples: Samples, noise: Samples, random: np.random.Generator) -> Samples:
    repeated = np.resize(noise, len(samples))
    snr = 10 ** (random.uniform(*SNR_DB) / 20)
    level = np.sqrt(np.square(samples).mean()) / np.sqrt(np.square(repeated).mean())
    return (samples + repeated * (level / snr)).astype(np.float32)
