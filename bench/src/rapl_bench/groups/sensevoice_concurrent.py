"""Requests to sensevoice-service over HTTP, sent at once and one after another."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

import numpy as np
from rapl_protocol.audio import SAMPLE_RATE_HZ, WavAudio
from rapl_protocol.transcript import TranscribeOptions, Transcript
from rapl_service.calls.call import Service, open_http
from rapl_service.calls.clients import TranscriberClient

from rapl_bench.processes import ServerProcess
from rapl_bench.reporting.results import Column, Measure, Row, Table

MIXES = {
    "8 x 1 s": (1.0,) * 8,
    "8 x 5 s": (5.0,) * 8,
    "1 to 12 s": (1.0, 12.0, 3.0, 7.0, 2.0, 9.0, 5.0, 4.0),
    "7 x 5 s and 30 s": (5.0,) * 3 + (30.0,) + (5.0,) * 4,
}
"""Lengths of the clips in seconds, in the order in which they are sent."""
IN_A_ROW, AT_ONCE = "in a row", "at once"
_ANSWER_LIMIT_S = 300.0

Transcribe = Callable[[WavAudio], Coroutine[Any, Any, Transcript]]


async def table(service: ServerProcess, model: str, rounds: int) -> Table:
    """Measures `service`, whose `model` is ready."""
    async with open_http() as http:
        client = TranscriberClient(http, Service("engine", service.url, "It was started by the benchmark."))
        transcribe = partial(client.transcribe, options=TranscribeOptions(model=model), deadline_s=_ANSWER_LIMIT_S)
        times = {mix: await _times(transcribe, lengths_s, rounds) for mix, lengths_s in MIXES.items()}
    return _table(times, rounds)


async def _times(transcribe: Transcribe, lengths_s: Sequence[float], rounds: int) -> dict[str, list[float]]:
    """Returns the milliseconds of each round. The two variants take turns in going first."""
    clips = [_noise(length_s) for length_s in lengths_s]

    async def in_a_row() -> None:
        for clip in clips:
            await transcribe(clip)

    async def at_once() -> None:
        await asyncio.gather(*(transcribe(clip) for clip in clips))

    turns = {IN_A_ROW: in_a_row, AT_ONCE: at_once}
    times: dict[str, list[float]] = {name: [] for name in turns}
    for number in range(-1, rounds):  # the first round is a warm-up
        for name in list(turns)[:: 1 if number % 2 else -1]:
            began = time.perf_counter()
            await turns[name]()
            if number >= 0:
                times[name].append((time.perf_counter() - began) * 1000)
    return times


def _noise(duration_s: float) -> WavAudio:
    samples = np.random.default_rng(round(duration_s * 1000)).normal(0, 1000, round(duration_s * SAMPLE_RATE_HZ))
    return WavAudio(samples.astype("<i2").tobytes())


def _table(times: dict[str, dict[str, list[float]]], rounds: int) -> Table:
    return Table(
        name="sensevoice-concurrent",
        title="Eight requests to sensevoice-service, at once and in a row",
        columns=(Column("time", "ms", 0), Column("in a row by this", "", 2)),
        rows=tuple(
            Row(mix, name, {
                "time": Measure.of(taken),
                "in a row by this": Measure.of([row / ours for row, ours in zip(both[IN_A_ROW], taken, strict=True)]),
            })
            for mix, both in times.items()
            for name, taken in both.items()
        ),
        plotted="in a row by this",
        notes=("In a row: the client sends a request after the answer to the previous one. Both use one process.",),
        settings={"rounds": str(rounds)},
    )  # fmt: skip
