"""Simulates a day with people who dictate, an archive at night and an autoscaler."""

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import simpy

from rapl_bench.reporting.results import quantile
from rapl_bench.scaling.autoscaler import Autoscaler, AutoscalerSettings
from rapl_bench.scaling.people import Day
from rapl_bench.scaling.simulator import SimulatedEngine, SimulatedGateway, Steps

SEGMENT_S = 28.0
"""Length of the segments of a long recording: preprocess-service cuts at pauses, at most 30 s apart."""
PREPARE_SPEED = 500.0
"""Seconds of audio that preprocess-service decodes and cuts in a second, measured on one core."""
OVERHEAD_S = 0.006
"""Latency of a clip beyond its engine's time: gateway, preprocess-service and network."""


@dataclass(frozen=True, slots=True)
class Poll:
    """What was seen and decided at one poll."""

    at_s: float
    arrived_s: float
    """Seconds of audio that had arrived since the start of the day."""
    queued_s: float
    """Seconds of audio that were waiting or in progress."""
    replicas: int
    """How many replicas were wanted after this poll."""
    ready: int
    """How many had their model loaded."""


@dataclass(slots=True)
class DayOutcome:
    polls: list[Poll] = field(default_factory=list[Poll])
    clips: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    """When each clip was sent, and its wait: the latency without the engine's own time for it, both in seconds."""
    archive_ended_s: float = 0.0

    def wait_s(self, part: float) -> float:
        """Returns a quantile of the clips' waits."""
        return quantile([wait_s for _, wait_s in self.clips], part)

    def replica_hours(self) -> float:
        pairs = itertools.pairwise(self.polls)
        return sum(before.replicas * (after.at_s - before.at_s) for before, after in pairs) / 3600

    def changes(self) -> list[tuple[float, int]]:
        """Returns when the number of replicas changed, and by how much."""
        pairs = itertools.pairwise(self.polls)
        found = [(after.at_s, after.replicas - before.replicas) for before, after in pairs]
        return [(at_s, change) for at_s, change in found if change]

    def flaps(self, within_s: float) -> int:
        """Returns how often replicas were removed and then, within this time, added."""
        pairs = itertools.pairwise(self.changes())
        return sum(first < 0 < then and at_s - since_s < within_s for (since_s, first), (at_s, then) in pairs)


def simulated_day(day: Day, rule: AutoscalerSettings, *, pace: float, gateways: int = 2) -> DayOutcome:
    """Simulates a day. `pace`: an engine's time for one second of audio, in seconds."""
    environment = simpy.Environment()
    fleet = _Fleet(environment, rule, pace, gateways, day.seed)
    run = _Run(environment, day, fleet)
    for person in range(day.people):
        environment.process(run.person(person, fleet.gateways[person % gateways]))
    for client in range(day.archive_clients):
        environment.process(run.archive(client, fleet.gateways[client % gateways]))
    environment.process(run.autoscaled(rule))
    environment.run(until=day.length_s)
    return run.outcome


class _Fleet:
    """The gateways, and the replicas that come and go."""

    def __init__(
        self, environment: simpy.Environment, rule: AutoscalerSettings, pace: float, gateways: int, seed: int
    ) -> None:
        self._environment = environment
        self._rule = rule
        self.pace = pace
        self.ready = [SimulatedEngine(environment, pace) for _ in range(rule.least)]
        self.wanted = rule.least
        source = random.Random(f"{seed} equal replicas")
        self.gateways: Sequence[SimulatedGateway] = [
            SimulatedGateway(environment, self.ready, source) for _ in range(gateways)
        ]

    def queued_s(self) -> float:
        return sum(gateway.queued_s for gateway in self.gateways)

    def resize(self, wanted: int) -> None:
        """Adds replicas, which are ready after the time of a load, or removes some."""
        for _ in range(self.wanted, wanted):
            self._environment.process(self._add())
        self.wanted = wanted
        while len(self.ready) > wanted:
            engine = self.ready.pop()
            for gateway in self.gateways:
                gateway.remove(engine)

    def _add(self) -> Steps:
        yield self._environment.timeout(self._rule.load_s)
        if len(self.ready) < self.wanted:
            engine = SimulatedEngine(self._environment, self.pace)
            self.ready.append(engine)
            for gateway in self.gateways:
                gateway.add(engine)


class _Run:
    def __init__(self, environment: simpy.Environment, day: Day, fleet: _Fleet) -> None:
        self.outcome = DayOutcome()
        self._environment = environment
        self._day = day
        self._fleet = fleet
        self._arrived_s = 0.0

    def person(self, number: int, gateway: SimulatedGateway) -> Steps:
        for at_s, audio_s in self._day.dictations(number):
            if (wait_s := at_s - self._environment.now) > 0:  # a person waits for the text before the next dictation
                yield self._environment.timeout(wait_s)
            began = self._environment.now
            self._arrived_s += audio_s
            yield gateway.transcribe(audio_s, is_long=False)
            waited_s = self._environment.now - began - audio_s * self._fleet.pace
            self.outcome.clips.append((began, OVERHEAD_S + max(0.0, waited_s)))

    def archive(self, number: int, gateway: SimulatedGateway) -> Steps:
        yield self._environment.timeout(self._day.archive_begins_s)
        count = round(self._day.recording_s / SEGMENT_S)
        segments = [(SEGMENT_S * (place + 1) / PREPARE_SPEED, SEGMENT_S) for place in range(count)]
        for _ in range(self._day.recordings(number)):
            self._arrived_s += self._day.recording_s
            yield from gateway.recording(segments, "archive")
            self.outcome.archive_ended_s = self._environment.now

    def autoscaled(self, rule: AutoscalerSettings) -> Steps:
        autoscaler = Autoscaler(rule, rule.least)
        while True:
            queued_s = self._fleet.queued_s()
            wait_s = max(gateway.wait_s() for gateway in self._fleet.gateways)
            self._fleet.resize(autoscaler.poll(self._environment.now, queued_s, wait_s))
            poll = Poll(self._environment.now, self._arrived_s, queued_s, self._fleet.wanted, len(self._fleet.ready))
            self.outcome.polls.append(poll)
            yield self._environment.timeout(rule.poll_s)
