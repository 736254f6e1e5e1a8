"""What metrics and traces cost: requests and CPU time, in front of an engine that takes no time."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
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
_ROUNDS, _QUICK_ROUNDS = 10, 2
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
class Round:
    requests_per_s: float
    cpu_ms: float
    """CPU time of one request."""


Rounds = Mapping[str, Sequence[Round]]
"""By the contestant's name."""


async def measure(settings: BenchSettings) -> Sequence[Table]:
    return [await asyncio.to_thread(_measured, settings)]


def _measured(settings: BenchSettings) -> Table:
    starts, rounds = (_QUICK_STARTS, _QUICK_ROUNDS) if settings.quick else (_STARTS, _ROUNDS)
    for_s = _QUICK_FOR_S if settings.quick else _FOR_S
    measured = [_measured_once(settings.scratch, rounds, for_s) for _ in range(starts)]
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
            "rounds. The second row without metrics and traces shows how much of a difference is noise. CPU time is "
            "that of the gateway and preprocess-service together.",
        ),
        settings={"starts": str(starts), "rounds": str(rounds)},
    )  # fmt: skip


def _measured_once(scratch: Path, rounds: int, for_s: float) -> Rounds:
    """Starts every contestant, and measures them in turns."""
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
        return interleaved(
            {name: partial(_round, each, calls[name], for_s) for name, each in contestants.items()}, rounds
        )


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


def _round(contestant: Contestant, call: Call, for_s: float) -> Round:
    before_s = contestant.cpu_s()
    load = run_load(call, at_once=AT_ONCE, for_s=for_s)
    return Round(load.requests_per_s, (contestant.cpu_s() - before_s) * 1000 / len(load.latencies_s))


def _rows(starts: Sequence[Rounds]) -> list[Row]:
    case = f"{CLIP_S:g} s WAV, {AT_ONCE} at once, speech check on"
    return [Row(case, name, _measures(starts, name)) for name in starts[0]]


def _measures(starts: Sequence[Rounds], name: str) -> dict[str, Measure]:
    def beside(figure: Callable[[Round], float]) -> Measure:
        """The ratio to the contestant without metrics and traces."""
        return Measure.of(
            [median(figure(own) / figure(off) for own, off in zip(rounds[name], rounds[OFF], strict=True))
             for rounds in starts]
        )  # fmt: skip

    every = [each for rounds in starts for each in rounds[name]]
    return {
        "requests": Measure.of([each.requests_per_s for each in every]),
        "requests beside neither": beside(lambda each: each.requests_per_s),
        "CPU time": Measure.of([each.cpu_ms for each in every]),
        "CPU time beside neither": beside(lambda each: each.cpu_ms),
    }
