"""Two replicas of an engine compared with one: stubs that compute one request at a time, in a fixed time."""

import asyncio
from collections.abc import Sequence

from rapl_bench import recordings
from rapl_bench.fleet import Fleet, set_engine_ms
from rapl_bench.load import run_load, transcription
from rapl_bench.processes import ServerProcess
from rapl_bench.reporting.results import BenchSettings, Column, Measure, Row, Table
from rapl_bench.rounds import interleaved
from rapl_bench.stub_engine import MODEL

ENGINE_MS = 100.0
AT_ONCE = (16,)
CLIP_S = 5.0
ONE, TWO = "one replica", "two replicas"
_FOR_S, _QUICK_FOR_S = 3.0, 1.0
_ROUNDS = 3


async def measure(settings: BenchSettings) -> Sequence[Table]:
    return [await asyncio.to_thread(_measured, settings)]


def _measured(settings: BenchSettings) -> Table:
    with Fleet(settings.scratch) as fleet:
        preprocess = fleet.preprocess()
        stubs = [fleet.stub(parallel=1) for _ in range(3)]
        for stub in stubs:
            set_engine_ms(stub, ENGINE_MS)
        gateways = {
            ONE: fleet.gateway(stubs[0], preprocess),
            TWO: fleet.gateway(stubs[1], preprocess, RAPL_SENSEVOICE_URL=",".join(stub.url for stub in stubs[1:])),
        }
        rows = [row for at_once in AT_ONCE for row in _rows(gateways, at_once, settings)]
    return Table(
        name="replicas",
        title="Throughput with a second replica of an engine",
        columns=(Column("throughput", "requests/s"), Column("one replica's throughput times")),
        rows=tuple(rows),
        plotted="throughput",
        notes=(
            f"Each replica is a stub that computes one request at a time and takes {ENGINE_MS:g} ms: at most "
            f"{1000 / ENGINE_MS:g} requests per second.",
        ),
        settings={"rounds": str(_rounds(settings))},
    )


def _rows(gateways: dict[str, ServerProcess], at_once: int, settings: BenchSettings) -> list[Row]:
    clip, for_s = recordings.wav(CLIP_S), _QUICK_FOR_S if settings.quick else _FOR_S
    calls = {name: transcription(gateway.url, clip, "clip.wav", MODEL) for name, gateway in gateways.items()}
    for call in calls.values():
        run_load(call, at_once=at_once, count=at_once)
    loads = interleaved(
        {name: lambda call=call: run_load(call, at_once=at_once, for_s=for_s) for name, call in calls.items()},
        _rounds(settings),
    )
    rates = {name: [load.requests_per_s for load in of_one] for name, of_one in loads.items()}
    times = [two / one for one, two in zip(rates[ONE], rates[TWO], strict=True)]
    case = f"{CLIP_S:g} s WAV, {at_once} at once"
    return [
        Row(case, ONE, {"throughput": Measure.of(rates[ONE])}),
        Row(case, TWO, {"throughput": Measure.of(rates[TWO]), "one replica's throughput times": Measure.of(times)}),
    ]


def _rounds(settings: BenchSettings) -> int:
    return 1 if settings.quick else _ROUNDS
