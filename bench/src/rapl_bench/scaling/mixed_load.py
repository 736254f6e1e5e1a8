"""Mixed load: people who send clips and wait between them, and clients that send one long recording after the other.

The same `MixedLoad` is sent to real services (`measured.py`) and to the simulator (`simulator.py`).
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

CLIP_LENGTHS_S = (3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 20.0)
"""Lengths of clips; all are as frequent. Their mean is 8.5 s."""
RECORDINGS_S = (60, 120, 180)
"""Lengths of the long recordings."""


@dataclass(frozen=True, slots=True)
class MixedLoad:
    """What is sent, and for how long."""

    people: int
    """Each sends a clip, waits for its text, waits `pause_s` on average, and sends the next one."""
    archives: int
    """Each sends a long recording and, after its text, the next one."""
    pause_s: float
    warm_up_s: float
    measured_s: float
    """Only requests that begin and audio that is computed in this time count; it begins after the warm-up."""
    seed: int = 0

    @classmethod
    def of(cls, replicas: int, pace: float, measured_s: float, seed: int = 0) -> "MixedLoad":
        """Returns a load for this many replicas: half of their time for clips, and more recordings than they can do.

        Args:
            replicas: number of replicas.
            pace: an engine's time for one second of audio, in seconds.
            measured_s: seconds that are measured.
            seed: chooses the lengths and the pauses.
        """
        return cls(4 * replicas, 2 * replicas, pause_s=48 * pace, warm_up_s=60 * pace, measured_s=measured_s, seed=seed)

    @property
    def ends_s(self) -> float:
        return self.warm_up_s + self.measured_s

    def clips(self, person: int) -> Iterator[tuple[float, float]]:
        """Yields the length of each clip of a person and the pause before it, in seconds."""
        source = random.Random(f"{self.seed} person {person}")
        while True:
            yield source.choice(CLIP_LENGTHS_S), source.expovariate(1 / self.pause_s)

    def recordings(self, archive: int) -> Iterator[int]:
        """Yields the length of each recording of a client, in seconds; one of RECORDINGS_S."""
        source = random.Random(f"{self.seed} archive {archive}")
        while True:
            yield source.choice(RECORDINGS_S)


@dataclass(slots=True)
class Outcome:
    """The figures of one run."""

    worked_s: list[float] = field(default_factory=list[float])
    """Seconds of audio that each replica computed, in the measured time."""
    by_gateway_s: list[float] = field(default_factory=list[float])
    """Seconds of audio of the segments that each gateway finished, in the measured time."""
    clips_s: list[float] = field(default_factory=list[float])
    """Latency of each clip that began in the measured time."""
    recordings_s: list[float] = field(default_factory=list[float])
    """The same for the recordings."""
    failures: list[str] = field(default_factory=list[str])
    """Why each request without a text failed."""

    def throughput(self, measured_s: float) -> float:
        """Seconds of audio in one second, of all replicas together."""
        return sum(self.worked_s) / measured_s
