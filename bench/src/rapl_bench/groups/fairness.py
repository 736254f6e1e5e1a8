"""Latency of short clips, as in dictation, while a long recording is transcribed."""

import asyncio
import os
import sys
import time
from collections.abc import Sequence

import httpx
from rapl_protocol.audio import WavAudio
from rapl_protocol.prepared import MAX_SEGMENT_S
from rapl_protocol.transcript import TranscribeOptions
from rapl_service.calls.call import Service, open_http
from rapl_service.calls.clients import TranscriberClient

from rapl_bench import recordings
from rapl_bench.fleet import SELFTEST, SENSEVOICE_PYTHON, Fleet
from rapl_bench.groups.registry import GroupUnavailable
from rapl_bench.processes import ServerProcess
from rapl_bench.reporting.results import BenchSettings, Column, Measure, Row, Table, quantile
from rapl_bench.streamed import stream

CLIP_S, EVERY_S = 5.0, 2.0
_IDLE_EVERY_S = 0.5
"""Seconds between clips on idle services. Without other work the time of arrival does not matter."""
IDLE, LOADED = "idle", "while a long recording is transcribed"
_SEGMENT = "one segment of 30 s, the engine alone"
_LIMIT_S = 120.0


async def measure(settings: BenchSettings) -> Sequence[Table]:
    if not os.environ.get(SENSEVOICE_PYTHON):
        raise GroupUnavailable("the environment of sensevoice-service could not be made")
    clips = 5 if settings.quick else 30
    recording = recordings.hours(1 if settings.quick else 10, settings.cache)
    with Fleet(settings.scratch) as fleet:
        engine = fleet.sensevoice()
        gateway = fleet.gateway(engine, fleet.preprocess())
        await _latencies_s(gateway, 3, 0.0)  # warm-up
        segment_s = await _segment_s(engine, 5)
        print("rapl bench:   idle", file=sys.stderr)
        idle_s = await _latencies_s(gateway, clips, _IDLE_EVERY_S)
        print("rapl bench:   during a long recording", file=sys.stderr)
        long = asyncio.create_task(_stream_repeatedly(gateway, recording))
        await asyncio.sleep(EVERY_S)
        loaded_s = await _latencies_s(gateway, clips, EVERY_S)
        if long.done():
            long.result()  # raises the error that ended it
        long.cancel()
        await asyncio.wait([long])
    return [_table(idle_s, loaded_s, segment_s, clips)]


async def _stream_repeatedly(gateway: ServerProcess, recording: recordings.Recording) -> None:
    while True:
        await stream(gateway.url, recording, SELFTEST)


def _table(idle_s: Sequence[float], loaded_s: Sequence[float], segment_s: Sequence[float], clips: int) -> Table:
    case = f"{CLIP_S:g} s WAV every {EVERY_S:g} s"
    segment_ms = [taken_s * 1000 for taken_s in segment_s]
    above_ms = (quantile(loaded_s, 0.95) - quantile(idle_s, 0.5)) * 1000
    loaded = _percentiles(loaded_s) | {"p95 above idle": Measure(above_ms)}
    return Table(
        name="fairness",
        title="A short clip during a long recording, the self-test model",
        columns=(Column("p50", "ms", 1), Column("p95", "ms", 1), Column("p95 above idle", "ms", 1)),
        rows=(
            Row(case, IDLE, _percentiles(idle_s)),
            Row(case, LOADED, loaded),
            Row(case, _SEGMENT, {"p50": Measure.of(segment_ms), "p95": Measure(quantile(segment_ms, 0.95))}),
        ),
        plotted="p95",
        notes=(
            "The last row is the longest wait of a clip: an engine first finishes the segment that it has started. "
            "`p95 above idle` is the p95 minus the p50 of the idle services.",
        ),
        settings={"clips": str(clips)},
    )


def _percentiles(latencies_s: Sequence[float]) -> dict[str, Measure]:
    return {
        "p50": Measure(quantile(latencies_s, 0.5) * 1000),
        "p95": Measure(quantile(latencies_s, 0.95) * 1000),
    }


async def _latencies_s(gateway: ServerProcess, count: int, every_s: float) -> list[float]:
    """Latencies of `count` clips, one sent every `every_s`, or after the previous answer if that takes longer."""
    clip = recordings.wav(CLIP_S)
    latencies_s: list[float] = []
    async with httpx.AsyncClient(timeout=_LIMIT_S) as http:
        for _ in range(count):
            began = time.perf_counter()
            answer = await http.post(
                f"{gateway.url}/v1/audio/transcriptions", data={"model": SELFTEST}, files={"file": ("clip.wav", clip)}
            )
            answer.raise_for_status()
            latencies_s.append(time.perf_counter() - began)
            await asyncio.sleep(max(0.0, every_s - latencies_s[-1]))
    return latencies_s


async def _segment_s(engine: ServerProcess, count: int) -> list[float]:
    audio = WavAudio(recordings.speech(MAX_SEGMENT_S).tobytes())
    options = TranscribeOptions(model=SELFTEST, is_long=True)
    taken_s: list[float] = []
    async with open_http() as http:
        transcriber = TranscriberClient(http, Service("engine", engine.url, "It was started by the benchmark."))
        for _ in range(count):
            began = time.perf_counter()
            await transcriber.transcribe(audio, options, deadline_s=_LIMIT_S)
            taken_s.append(time.perf_counter() - began)
    return taken_s
