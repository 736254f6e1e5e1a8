"""Sends a `MixedLoad` to simulated gateways."""

import itertools
import random

import simpy

from rapl_bench.scaling.measured import ServiceTimes
from rapl_bench.scaling.mixed_load import MixedLoad, Outcome
from rapl_bench.scaling.simulator import SimulatedEngine, SimulatedGateway, Steps


def simulated(load: MixedLoad, times: ServiceTimes, *, engines: int, gateways: int, pace: float) -> Outcome:
    """Simulates the load. `pace`: an engine's time for one second of audio, in seconds."""
    environment = simpy.Environment()
    run = _Run(environment, load, times)
    replicas = [SimulatedEngine(environment, pace) for _ in range(engines)]
    source = random.Random(f"{load.seed} equal replicas")
    entries = [SimulatedGateway(environment, replicas, source) for _ in range(gateways)]
    environment.process(run.count(entries, replicas))
    for number, gateway in zip(range(load.people), itertools.cycle(entries)):
        environment.process(run.person(number, gateway))
    for number, gateway in zip(range(load.archives), itertools.cycle(entries)):
        environment.process(run.archive(number, gateway))
    environment.run()
    return run.outcome


class _Run:
    def __init__(self, environment: simpy.Environment, load: MixedLoad, times: ServiceTimes) -> None:
        self.outcome = Outcome()
        self._environment = environment
        self._load = load
        self._times = times

    def person(self, number: int, gateway: SimulatedGateway) -> Steps:
        for length_s, pause_s in self._load.clips(number):
            yield self._environment.timeout(pause_s)
            began = self._environment.now
            if began > self._load.ends_s:
                return
            yield self._environment.timeout(self._times.overhead_s)
            yield gateway.transcribe(length_s, is_long=False)
            self._count(began, self.outcome.clips_s)

    def archive(self, number: int, gateway: SimulatedGateway) -> Steps:
        for length_s in self._load.recordings(number):
            began = self._environment.now
            if began > self._load.ends_s:
                return
            yield self._environment.timeout(self._times.overhead_s)
            yield from gateway.recording(self._times.segments[length_s])
            self._count(began, self.outcome.recordings_s)

    def _count(self, began: float, latencies_s: list[float]) -> None:
        if began >= self._load.warm_up_s:
            latencies_s.append(self._environment.now - began)

    def count(self, gateways: list[SimulatedGateway], engines: list[SimulatedEngine]) -> Steps:
        yield self._environment.timeout(self._load.warm_up_s)
        worked_s = [engine.worked_audio_s() for engine in engines]
        done_s = [gateway.done_s for gateway in gateways]
        yield self._environment.timeout(self._load.measured_s)
        self.outcome.worked_s = [
            engine.worked_audio_s() - before for engine, before in zip(engines, worked_s, strict=True)
        ]
        self.outcome.by_gateway_s = [gateway.done_s - before for gateway, before in zip(gateways, done_s, strict=True)]
