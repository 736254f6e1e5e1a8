"""A dictated sentence through all services, compared with the engine alone. It shows the cost of the other services.

Gateway, preprocess-service, engine and load generator share the cores, as on a user's machine.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from rapl_protocol.frames import CONTENT_TYPE, encode_frame

from rapl_bench import recordings
from rapl_bench.fleet import Fleet
from rapl_bench.load import median_latency_s, post, transcription
from rapl_bench.processes import ServerProcess
from rapl_bench.recordings import Clips
from rapl_bench.reporting.results import Column, Measure, Row, Table
from rapl_bench.rounds import interleaved

ENGINE, RAPL = "the engine alone", "RAPL, all services"
CASES = (Clips("wav", 5, 8), Clips("m4a", 5, 8), Clips("wav", 30, 2))


async def table(fleet: Fleet, engine: ServerProcess, model: str, rounds: int) -> Table:
    """Measures a new gateway in front of `engine`, whose model is ready."""
    gateway = fleet.gateway(engine, fleet.preprocess())
    rows = [row for case in CASES for row in await asyncio.to_thread(_rows, case, engine, gateway, model, rounds)]
    return Table(
        name="dictation",
        title="A dictated sentence through all services, SenseVoiceSmall's real dimensions",
        columns=(Column("p50", "ms", 1), Column("above the engine", "ms", 1), Column("beside the engine", "", 3)),
        rows=tuple(rows),
        plotted="p50",
        notes=(
            "One clip at a time. The engine alone gets the same audio as canonical WAV, over RAPL's own protocol. "
            "The services together read a form, decode the file, detect speech, and write OpenAI's answer.",
        ),
        settings={"rounds": str(rounds)},
    )


def _rows(case: Clips, engine: ServerProcess, gateway: ServerProcess, model: str, rounds: int) -> list[Row]:
    frame = encode_frame({"model": model}, recordings.wav(case.duration_s))
    calls = {
        ENGINE: post(f"{engine.url}/v1/transcribe", frame, CONTENT_TYPE),
        RAPL: transcription(gateway.url, case.media(), f"speech.{case.codec}", model),
    }
    turns: dict[str, Callable[[], float]] = {
        name: partial(median_latency_s, call, case.count) for name, call in calls.items()
    }
    interleaved(turns, 1)  # warm-up
    taken_s = interleaved(turns, rounds)
    return [Row(case.name, name, _measures(its, taken_s[ENGINE])) for name, its in taken_s.items()]


def _measures(taken_s: Sequence[float], engine_s: Sequence[float]) -> dict[str, Measure]:
    pairs = list(zip(taken_s, engine_s, strict=True))
    return {
        "p50": Measure.of([each * 1000 for each in taken_s]),
        "above the engine": Measure.of([(each - engine) * 1000 for each, engine in pairs]),
        "beside the engine": Measure.of([each / engine for each, engine in pairs]),
    }
