"""A load that changes, and what the simulator advises for it: how many replicas there should be, and when."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from rapl_bench.scaling.autoscaler import AutoscalerSettings
from rapl_bench.scaling.mixed_load import CLIP_LENGTHS_S
from rapl_bench.scaling.people import Day
from rapl_bench.scaling.simulated_day import DayOutcome, simulated_day

PHASES = (0.4, 1.6, 2.4, 0.8, 0.4)
"""Replicas that the clips of each fifth of the time keep busy."""
STREAMS = 24
"""Clients that send clips. Each waits for its text before it sends the next one."""
MOST = 4
START_S = 3.0
"""Seconds until a new engine of the measurement is ready and known to the gateway, about."""


@dataclass(frozen=True, slots=True)
class ChangingLoad(Day):
    """Clips at the rates of PHASES, and a client that sends recordings, one after the other, from the middle on."""

    pace: float = 0.1

    def dictations(self, person: int) -> Iterator[tuple[float, float]]:
        source = random.Random(f"{self.seed} stream {person}")
        mean_s = sum(CLIP_LENGTHS_S) / len(CLIP_LENGTHS_S)
        busiest = max(PHASES) / (mean_s * self.pace) / STREAMS  # clips per second
        at_s = source.expovariate(busiest)
        while at_s < self.length_s:
            phase = PHASES[int(at_s / self.length_s * len(PHASES))]
            length_s = source.choice(CLIP_LENGTHS_S)
            if source.random() < phase / max(PHASES):
                yield at_s, length_s
            at_s += source.expovariate(busiest)


def changing_load(length_s: float, pace: float) -> ChangingLoad:
    """Returns the load. `pace`: an engine's time for one second of audio, in seconds."""
    recordings = max(1, round(length_s / 300))
    return ChangingLoad(
        people=STREAMS,
        archive_hours=recordings * 180 / 3600,
        archive_begins_s=length_s / 2,
        archive_clients=1,
        recording_s=180.0,
        length_s=length_s,
        pace=pace,
    )


def rule_for(length_s: float) -> AutoscalerSettings:
    """Returns the autoscaler's settings, whose times are as much shorter as the load's."""
    return AutoscalerSettings(
        most=MOST, poll_s=length_s / 90, average_s=length_s / 18, calm_s=length_s / 9, load_s=START_S
    )


def advice(load: ChangingLoad) -> DayOutcome:
    """Simulates the load with the autoscaler. `changes()` of the outcome is the advice."""
    return simulated_day(load, rule_for(load.length_s), pace=load.pace, gateways=1)
