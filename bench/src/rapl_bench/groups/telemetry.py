"""What metrics and traces cost: requests and CPU time, in front of an engine that takes no time."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import psutil

from rapl_bench import recordings
from rapl_bench.fleet import Fleet, set_engine_ms
from rapl_bench.load import Call, run_load, transcription
from rapl_bench.processes import ServerProcess
from rapl_bench.reporting.results import BenchSettings, Column, Measure, Row, Table
from rapl_bench.rounds import interleaved
from rapl_bench.stub_engine import MODEL

OFF, OFF_AGAIN, METRICS, SAMPLED = "neither", "neither, again", "metrics", "metrics, and traces of 1 in 100 requests"
CLIP_S, AT_ONCE = 5.0, 16
_FOR_S, _QUICK_FOR_S = 0.5, 0.3
_ROUNDS, _QUICK_ROUNDS = 20, 2
_TOGETHER_S, _QUICK_TOGETHER_S = 15.0, 0.3
_STARTS, _QUICK_STARTS = 8, 1
"""How often the services are started anew. Two processes with the same settings differ by a few per cent for as long
as they live, because their memory is laid out differently, and more rounds do not make that smaller."""
_WARM_UP = 50


@dataclass(frozen=True, slots=True)
class Contestant:
    """A gateway and its own preprocess-service, with the same settings."""

    gateway: ServerProcess
    preprocess: ServerProcess

    def cpu_s(self) -> float:
        """CPU seconds that both have used."""
        times = [psutil.Process(server.pid).cpu_times() for server in (self.gateway, self.preprocess)]
        return sum(each.user + each.system for each in times)


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured of a contestant in one start of the services."""

    requests_per_s: Sequence[float]
    """Of each round."""
    cpu_ms: float
    """CPU time of one request, while all contestants had requests at the same time: whatever else the machine does
    then, it does to all of them."""


Start = Mapping[str, Figures]
"""By the contestant's name."""


async def measure(settings: BenchSettings) -> Sequence[Table]:
    return [await asyncio.to_thread(_measured, settings)]


def _measured(settings: BenchSettings) -> Table:
    starts, rounds = (_QUICK_STARTS, _QUICK_ROUNDS) if settings.quick else (_STARTS, _ROUNDS)
    for_s, together_s = (_QUICK_FOR_S, _QUICK_TOGETHER_S) if settings.quick else (_FOR_S, _TOGETHER_S)
    measured = [_measured_once(settings.scratch, rounds, for_s, together_s) for _ in range(starts)]
    return Table(
        name="telemetry",
        title="What metrics and traces cost, in front of an engine that takes no time",
        columns=(
            Column("requests", "1/s", 0), Column("requests beside neither", "", 3),
            Column("CPU time", "ms"), Column("CPU time beside neither", "", 3),
        ),
        rows=tuple(_rows(measured)),
        plotted="requests beside neither",
        notes=(
            "A ratio is the median over the starts of the services; of each start, the median of the ratios of its "
            "rounds, in which one contestant after the other has requests. CPU time is that of the gateway and "
            "preprocess-service together, while all contestants have requests at the same time. The second row without "
            "metrics and traces shows how much of a difference is noise.",
        ),
        settings={"starts": str(starts), "rounds": str(rounds)},
    )  # fmt: skip


def _measured_once(scratch: Path, rounds: int, for_s: float, together_s: float) -> Start:
    """Starts every contestant, and measures them in turns, and all together."""
    with Fleet(scratch) as fleet:
        stub = fleet.stub()
        set_engine_ms(stub, 0)
        contestants = {name: _started(fleet, stub, environ) for name, environ in _environs(stub).items()}
        calls = {
            name: transcription(each.gateway.url, recordings.wav(CLIP_S), "clip.wav", MODEL)
            for name, each in contestants.items()
        }
        for call in calls.values():
            run_load(call, at_once=AT_ONCE, count=_WARM_UP)
        alone = interleaved({name: partial(_requests_per_s, call, for_s) for name, call in calls.items()}, rounds)
        with ThreadPoolExecutor(len(calls)) as pool:
            together = pool.map(partial(_cpu_ms, for_s=together_s), contestants.values(), calls.values())
            return {name: Figures(alone[name], cpu_ms) for name, cpu_ms in zip(calls, together, strict=True)}


def _environs(stub: ServerProcess) -> dict[str, dict[str, str]]:
    traces = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": stub.url,
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.01",
    }
    return {OFF: {"RAPL_METRICS": "off"}, METRICS: {}, SAMPLED: traces, OFF_AGAIN: {"RAPL_METRICS": "off"}}


def _started(fleet: Fleet, stub: ServerProcess, environ: Mapping[str, str]) -> Contestant:
    preprocess = fleet.preprocess(**environ)
    return Contestant(fleet.gateway(stub, preprocess, **environ), preprocess)


def _requests_per_s(call: Call, for_s: float) -> float:
    return run_load(call, at_once=AT_ONCE, for_s=for_s).requests_per_s


def _cpu_ms(contestant: Contestant, call: Call, for_s: float) -> float:
    before_s = contestant.cpu_s()
    load = run_load(call, at_once=AT_ONCE, for_s=for_s)
    return (contestant.cpu_s() - before_s) * 1000 / len(load.latencies_s)


def _rows(starts: Sequence[Start]) -> list[Row]:
    case = f"{CLIP_S:g} s WAV, {AT_ONCE} at once, speech check on"
    return [Row(case, name, _measures(starts, name)) for name in starts[0]]


def _measures(starts: Sequence[Start], name: str) -> dict[str, Measure]:
    """Ratios are to the contestant without metrics and traces."""
    ratios = [
        median(own / off for own, off in zip(start[name].requests_per_s, start[OFF].requests_per_s, strict=True))
        for start in starts
    ]
    return {
        "requests": Measure.of([each for start in starts for each in start[name].requests_per_s]),
        "requests beside neither": Measure.of(ratios),
        "CPU time": Measure.of([start[name].cpu_ms for start in starts]),
        "CPU time beside neither": Measure.of([start[name].cpu_ms / start[OFF].cpu_ms for start in starts]),
    }
