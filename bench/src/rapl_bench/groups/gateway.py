"""The gateway's own latency and throughput with a stub engine, compared with HAProxy and LiteLLM."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from rapl_bench import proxies, recordings
from rapl_bench.fleet import Fleet, set_engine_ms
from rapl_bench.load import Call, LoadResult, run_load, transcription
from rapl_bench.processes import ServerProcess
from rapl_bench.reporting.results import BenchSettings, Column, Measure, Row, Table, quantile
from rapl_bench.rounds import interleaved
from rapl_bench.stub_engine import MODEL

DIRECT = "the stub itself"
RAPL, RAPL_UNCHECKED = "RAPL", "RAPL, speech check off"
ENGINE_MS = 50.0
_WARM_UP = 20
_NOTES = (
    "The load generator, the stub and the measured program share the cores. In the row of the stub itself, requests go "
    "directly to the stub, so no other row can be faster.",
    "HAProxy copies bytes: it does not read the form or track an engine's state. RAPL with its speech check also "
    "decides whether the clip contains speech.",
)


@dataclass(frozen=True, slots=True)
class Case:
    """A request, and how often each round sends it."""

    clip: str
    duration_s: float
    at_once: int
    count: int | None = None
    """Requests in a round of a latency measurement."""
    for_s: float | None = None
    """Length of a round of a throughput measurement."""
    rounds: int | None = None
    """None means the plan's number; long clips need fewer rounds."""

    @property
    def name(self) -> str:
        return f"{self.clip} WAV, {self.at_once} at once"


LATENCY = (
    Case("5 s", 5, 1, count=50),
    Case("5 s", 5, 16, count=320),
    Case("30 s", 30, 1, count=25),
    Case("30 s", 30, 16, count=160),
)
THROUGHPUT = (
    Case("5 s", 5, 1, for_s=1.0),
    Case("5 s", 5, 16, for_s=1.0),
    Case("30 s", 30, 16, for_s=1.0),
    Case("10 min", 600, 1, for_s=1.0, rounds=3),
    Case("10 min", 600, 16, for_s=1.0, rounds=1),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """The cases and the number of rounds."""

    rounds: int
    latency: Sequence[Case]
    throughput: Sequence[Case]


FULL = Plan(4, LATENCY, THROUGHPUT)
QUICK = Plan(2, (Case("5 s", 5, 1, count=5), Case("5 s", 5, 16, count=32)), (Case("5 s", 5, 16, for_s=0.3),))


async def measure(settings: BenchSettings) -> Sequence[Table]:
    return await asyncio.to_thread(tables, settings, QUICK if settings.quick else FULL)


def tables(settings: BenchSettings, plan: Plan) -> list[Table]:
    haproxy, litellm = proxies.haproxy_program(), proxies.litellm_python()
    with Fleet(settings.scratch) as fleet:
        stub, preprocess = fleet.stub(), fleet.preprocess()
        servers = {DIRECT: stub}
        if haproxy:
            servers["HAProxy"] = fleet.start(proxies.haproxy(haproxy, stub, settings.scratch))
        if litellm:
            servers["LiteLLM"] = fleet.start(proxies.litellm(litellm, stub, settings.scratch))
        servers[RAPL] = fleet.gateway(stub, preprocess)
        servers[RAPL_UNCHECKED] = fleet.gateway(stub, preprocess, RAPL_SPEECH_DETECTION="off")
        notes = (*_NOTES, *proxies.absences(haproxy, litellm))
        made_with = {**proxies.proxy_versions(haproxy, litellm), "rounds": str(plan.rounds)}
        return [
            _latency(servers, stub, plan, notes, made_with),
            _throughput(servers, stub, plan, made_with),
        ]


def _latency(
    servers: Mapping[str, ServerProcess],
    stub: ServerProcess,
    plan: Plan,
    notes: tuple[str, ...],
    made_with: dict[str, str],
) -> Table:
    rows: list[Row] = []
    for case in plan.latency:
        set_engine_ms(stub, ENGINE_MS)
        rows += _latency_rows(case, _loads(servers, case, plan.rounds))
    counts = ", ".join(f"{case.name}: {(case.count or 0) * plan.rounds}" for case in plan.latency)
    return Table(
        name="gateway-latency",
        title=f"Latency that a gateway adds to an engine that takes {ENGINE_MS:g} ms",
        columns=(Column("added p50", "ms"), Column("added p99", "ms"), Column("p50", "ms"), Column("p99", "ms")),
        rows=tuple(rows),
        plotted="added p50",
        is_log=True,
        notes=("Added is the difference from the stub itself, at the same percentile of the same run.", *notes),
        settings={**made_with, "requests": counts},
    )


def _latency_rows(case: Case, loads: Mapping[str, Sequence[LoadResult]]) -> list[Row]:
    direct_ms = [_percentiles_ms([load]) for load in loads[DIRECT]]
    direct = _percentiles_ms(loads[DIRECT])
    rows = []
    for contestant, its in loads.items():
        p50, p99 = _percentiles_ms(its)
        measures = {"p50": Measure(p50), "p99": Measure(p99)}
        if contestant != DIRECT:
            each = [_percentiles_ms([load])[0] - beside for load, (beside, _) in zip(its, direct_ms, strict=True)]
            measures["added p50"] = replace(Measure.of(each), value=p50 - direct[0])
            measures["added p99"] = Measure(p99 - direct[1])
        rows.append(Row(case.name, contestant, measures))
    return rows


def _percentiles_ms(loads: Sequence[LoadResult]) -> tuple[float, float]:
    """p50 and p99 of all requests of these rounds together."""
    latencies_s = [latency_s for load in loads for latency_s in load.latencies_s]
    return quantile(latencies_s, 0.5) * 1000, quantile(latencies_s, 0.99) * 1000


def _throughput(
    servers: Mapping[str, ServerProcess], stub: ServerProcess, plan: Plan, made_with: dict[str, str]
) -> Table:
    set_engine_ms(stub, 0)
    rows: list[Row] = []
    for case in plan.throughput:
        for contestant, loads in _loads(servers, case, plan.rounds).items():
            measures = {
                "requests": Measure.of([load.requests_per_s for load in loads]),
                "audio": Measure.of([load.requests_per_s * case.duration_s / 3600 for load in loads]),
                "p50": Measure(_percentiles_ms(loads)[0]),
            }
            rows.append(Row(case.name, contestant, measures))
    whole = (
        "The stub gets ten minutes as one request, directly and through the proxies; RAPL sends at most 30 s at a time."
    )
    return Table(
        name="gateway-throughput",
        title="Requests per second, in front of an engine that takes no time",
        columns=(Column("requests", "1/s", 1), Column("audio", "h/s", 3), Column("p50", "ms")),
        rows=tuple(rows),
        plotted="requests",
        is_log=True,
        headline=THROUGHPUT[1].name,
        notes=(whole,),
        settings=made_with,
    )


def _loads(servers: Mapping[str, ServerProcess], case: Case, rounds: int) -> dict[str, list[LoadResult]]:
    print(f"rapl bench:   {case.name}", file=sys.stderr)
    audio = recordings.wav(case.duration_s)
    calls = {name: transcription(server.url, audio, "speech.wav", MODEL) for name, server in servers.items()}
    for call in calls.values():
        run_load(call, at_once=min(case.at_once, 4), count=_WARM_UP if case.duration_s <= 60 else 1)
    return interleaved({name: partial(_load, call, case) for name, call in calls.items()}, case.rounds or rounds)


def _load(call: Call, case: Case) -> LoadResult:
    return run_load(call, at_once=case.at_once, count=case.count, for_s=case.for_s)
