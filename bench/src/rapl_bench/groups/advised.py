"""A quarter of an hour of changing load: engines are started and stopped when the simulator says so.

It runs only if it is named. With `--quick` it takes two minutes.
"""

import asyncio
import sys
import time
from collections.abc import Sequence

import httpx

from rapl_bench.fleet import Fleet
from rapl_bench.processes import ServerProcess
from rapl_bench.reporting.results import BenchSettings, Column, Line, Measure, Row, Table, quantile
from rapl_bench.scaling.advised import MOST, ChangingLoad, advice, changing_load
from rapl_bench.scaling.measured import Media, connections, transcribed
from rapl_bench.scaling.simulated_day import DayOutcome

PACE = 0.1
LENGTH_S, QUICK_LENGTH_S = 900.0, 120.0
_LEFT_S = 5.0
"""Latencies of clips that were sent in the last seconds do not count: in the simulator they have no end."""


async def measure(settings: BenchSettings) -> Sequence[Table]:
    load = changing_load(QUICK_LENGTH_S if settings.quick else LENGTH_S, PACE)
    advised = advice(load)
    with Fleet(settings.scratch) as fleet:
        engines = [fleet.paced(PACE) for _ in range(MOST)]
        gateway = fleet.gateway(engines, fleet.preprocess())
        run = _Run(load, gateway, engines, Media.made())
        await run.completed(advised)
    return [_table(load, advised, run)]


class _Run:
    def __init__(
        self, load: ChangingLoad, gateway: ServerProcess, engines: Sequence[ServerProcess], media: Media
    ) -> None:
        self.clips: list[tuple[float, float]] = []
        """When each clip was sent, and its latency without the engine's own time, in seconds."""
        self.failures: list[str] = []
        self.replicas: list[tuple[float, int]] = []
        """When the number of engines changed, and to what."""
        self.recordings = 0
        self._load = load
        self._gateway = gateway
        self._engines = engines
        self._media = media
        self._began = 0.0

    def _now(self) -> float:
        return time.perf_counter() - self._began

    async def completed(self, advised: DayOutcome) -> None:
        await asyncio.to_thread(self._resize, MOST, advised.polls[0].replicas)
        self._began = time.perf_counter()
        self.replicas.append((0.0, advised.polls[0].replicas))
        async with connections() as http:
            people = [self._person(http, number) for number in range(self._load.people)]
            await asyncio.gather(self._follow(advised), self._archive(http), *people)

    async def _follow(self, advised: DayOutcome) -> None:
        """Starts and stops engines as the simulator advises."""
        count = advised.polls[0].replicas
        for at_s, change in advised.changes():
            await asyncio.sleep(max(0.0, at_s - self._now()))
            print(f"rapl bench:   after {at_s:.0f} s: {count + change} engines", file=sys.stderr)
            await asyncio.to_thread(self._resize, count, count + change)
            count += change
            self.replicas.append((self._now(), count))

    def _resize(self, count: int, wanted: int) -> None:
        for engine in self._engines[wanted:count]:
            engine.stop()
        for engine in self._engines[count:wanted]:
            engine.start()

    async def _person(self, http: httpx.AsyncClient, number: int) -> None:
        for at_s, length_s in self._load.dictations(number):
            await asyncio.sleep(max(0.0, at_s - self._now()))
            sent_s = self._now()
            if (taken_s := await self._sent(http, self._media.clips[length_s], "clip.wav")) is not None:
                self.clips.append((sent_s, max(0.0, taken_s - length_s * PACE)))

    async def _archive(self, http: httpx.AsyncClient) -> None:
        await asyncio.sleep(self._load.archive_begins_s)
        for _ in range(self._load.recordings(0)):
            done = await self._sent(http, self._media.recordings[round(self._load.recording_s)], "long.m4a")
            self.recordings += done is not None

    async def _sent(self, http: httpx.AsyncClient, file: bytes, name: str) -> float | None:
        try:
            return await transcribed(http, self._gateway, file, name)
        except httpx.HTTPError as error:
            self.failures.append(f"{type(error).__name__}: {error}")
            return None


def _table(load: ChangingLoad, advised: DayOutcome, run: _Run) -> Table:
    simulated = [each for each in advised.clips if each[0] < load.length_s - _LEFT_S]
    measured = [each for each in run.clips if each[0] < load.length_s - _LEFT_S]
    rows = [
        Row("changing load", "measured", {**_measures(measured), "failed": Measure(len(run.failures))}),
        Row("changing load", "simulated", _measures(simulated)),
    ]
    at = [at_s / 60 for at_s, _ in run.replicas]
    counts = [count for _, count in run.replicas]
    steps = Line("engines", "engines", (*at, load.length_s / 60), (*counts, counts[-1]), is_step=True)
    lines = (steps, _waits("measured", load, measured), _waits("simulated", load, simulated))
    return Table(
        name="advised",
        title=f"{load.length_s / 60:g} minutes of changing load, with engines as the simulator advised",
        columns=(
            Column("p50 of the wait", "s"), Column("p95 of the wait", "s"), Column("clips", "", 0),
            Column("failed", "", 0),
        ),
        rows=tuple(rows),
        plotted="p95 of the wait",
        lines=lines,
        lines_over="minutes",
        notes=(
            "The wait of a clip is its latency without the engine's own time for it. "
            f"{run.recordings} of {load.recordings(0)} recordings of three minutes were transcribed meanwhile.",
            *(f"A request failed: {reason}" for reason in sorted(set(run.failures))),
        ),
        settings={"engine": f"{PACE:g} s for one second of audio"},
    )  # fmt: skip


def _measures(clips: Sequence[tuple[float, float]]) -> dict[str, Measure]:
    waits_s = [wait_s for _, wait_s in clips]
    return {
        "p50 of the wait": Measure(quantile(waits_s, 0.5)),
        "p95 of the wait": Measure(quantile(waits_s, 0.95)),
        "clips": Measure(len(waits_s)),
    }


def _waits(name: str, load: ChangingLoad, clips: Sequence[tuple[float, float]]) -> Line:
    """The p95 of the waits in each of thirty parts of the time."""
    slot_s = load.length_s / 30
    by_slot: dict[int, list[float]] = {}
    for at_s, wait_s in clips:
        by_slot.setdefault(int(at_s // slot_s), []).append(wait_s)
    places = sorted(by_slot)
    values = tuple(quantile(by_slot[place], 0.95) for place in places)
    return Line(name, "p95 of the wait (s)", tuple(place * slot_s / 60 for place in places), values)
