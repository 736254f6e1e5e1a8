"""Sends a `MixedLoad` to real gateways, and measures what the simulator needs to know of the real services."""

import asyncio
import itertools
import re
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from statistics import median
from typing import Any

import httpx
from rapl_protocol.audio import SAMPLE_RATE_HZ
from rapl_protocol.prepared import SpeechSegment
from rapl_service.calls.call import Service, open_http
from rapl_service.calls.clients import PreprocessClient

from rapl_bench import recordings
from rapl_bench.processes import ServerProcess
from rapl_bench.scaling.mixed_load import CLIP_LENGTHS_S, RECORDINGS_S, MixedLoad, Outcome
from rapl_bench.stub_engine import MODEL

_DONE = re.compile(r'^rapl_backend_audio_seconds_total\{backend="sensevoice"\} (\S+)$', re.MULTILINE)
_IDLE_CLIPS = 10
_CONNECTIONS = httpx.Limits(max_connections=None, max_keepalive_connections=None)


@dataclass(frozen=True, slots=True)
class Media:
    """The files that are sent."""

    clips: Mapping[float, bytes]
    """WAV by length in seconds."""
    recordings: Mapping[int, bytes]
    """m4a by nominal length in seconds."""

    @classmethod
    def made(cls) -> "Media":
        long = {length_s: _m4a(length_s) for length_s in RECORDINGS_S}
        return cls({length_s: recordings.wav(length_s) for length_s in CLIP_LENGTHS_S}, long)


def _m4a(length_s: float) -> bytes:
    return recordings.encoded(recordings.speech(length_s), "m4a", SAMPLE_RATE_HZ)


@dataclass(frozen=True, slots=True)
class ServiceTimes:
    """What is measured of the real services, without load."""

    overhead_s: float
    """Latency of a clip beyond the time of its engine."""
    segments: Mapping[int, Sequence[tuple[float, float]]]
    """By the nominal length of a recording: when preprocess-service has each segment, in seconds from the start, and
    the segment's length in seconds."""


async def service_times(gateway: ServerProcess, preprocess: ServerProcess, media: Media, pace: float) -> ServiceTimes:
    """Measures services without load. `pace` is the engine's time for one second of audio, in seconds."""
    length_s = CLIP_LENGTHS_S[0]
    async with connections() as http:
        taken_s = [await transcribed(http, gateway, media.clips[length_s], "a.wav") for _ in range(_IDLE_CLIPS)]
    async with open_http() as pool:
        client = PreprocessClient(pool, Service("preprocess-service", preprocess.url, "The benchmark started it."))
        segments = {length_s: await _segments(client, file) for length_s, file in media.recordings.items()}
    return ServiceTimes(median(taken_s) - length_s * pace, segments)


async def _segments(client: PreprocessClient, file: bytes) -> list[tuple[float, float]]:
    began, found = time.perf_counter(), list[tuple[float, float]]()
    async with aclosing(client.prepare(file, idle_s=60)) as events:
        async for event in events:
            if isinstance(event, SpeechSegment):
                found.append((time.perf_counter() - began, event.audio.duration_s))
    return found


async def run_mixed(
    load: MixedLoad, gateways: Sequence[ServerProcess], engines: Sequence[ServerProcess], media: Media
) -> Outcome:
    """Sends the load. The clients are spread evenly over the gateways."""
    run = _Run(load, media, Outcome())
    async with connections() as run.http:
        counted = asyncio.create_task(run.count(gateways, engines))
        turns = itertools.cycle(gateways)
        clients = [run.person(number, next(turns)) for number in range(load.people)]
        turns = itertools.cycle(gateways)
        clients += [run.archive(number, next(turns)) for number in range(load.archives)]
        await asyncio.gather(counted, *clients)
    return run.outcome


class _Run:
    http: httpx.AsyncClient

    def __init__(self, load: MixedLoad, media: Media, outcome: Outcome) -> None:
        self.outcome = outcome
        self._load = load
        self._media = media
        self._began = time.perf_counter()

    def _now(self) -> float:
        return time.perf_counter() - self._began

    async def person(self, number: int, gateway: ServerProcess) -> None:
        for length_s, pause_s in self._load.clips(number):
            await asyncio.sleep(pause_s)
            if self._now() > self._load.ends_s:
                return
            await self._send(gateway, self._media.clips[length_s], "clip.wav", self.outcome.clips_s)

    async def archive(self, number: int, gateway: ServerProcess) -> None:
        for length_s in self._load.recordings(number):
            if self._now() > self._load.ends_s:
                return
            await self._send(gateway, self._media.recordings[length_s], "long.m4a", self.outcome.recordings_s)

    async def _send(self, gateway: ServerProcess, file: bytes, name: str, latencies_s: list[float]) -> None:
        is_counted = self._now() >= self._load.warm_up_s
        try:
            taken_s = await transcribed(self.http, gateway, file, name)
        except httpx.HTTPError as error:
            self.outcome.failures.append(f"{type(error).__name__}: {error}")
            await asyncio.sleep(1)
        else:
            latencies_s += [taken_s] if is_counted else []

    async def count(self, gateways: Sequence[ServerProcess], engines: Sequence[ServerProcess]) -> None:
        """Counts the audio that the engines and the gateways finish in the measured time."""
        await asyncio.sleep(self._load.warm_up_s)
        before = [await self._counted(gateways, self._done_s), await self._counted(engines, self._worked_s)]
        began = time.perf_counter()
        await asyncio.sleep(self._load.measured_s)
        factor = self._load.measured_s / (time.perf_counter() - began)
        after = [await self._counted(gateways, self._done_s), await self._counted(engines, self._worked_s)]
        self.outcome.by_gateway_s, self.outcome.worked_s = (
            [(end - start) * factor for start, end in zip(*pair, strict=True)]
            for pair in zip(before, after, strict=True)
        )

    async def _counted(
        self, servers: Sequence[ServerProcess], count: Callable[[str], Coroutine[Any, Any, float]]
    ) -> list[float]:
        return await asyncio.gather(*(count(server.url) for server in servers))

    async def _worked_s(self, url: str) -> float:
        return (await self.http.get(f"{url}/stub/worked")).json()["audio_s"]

    async def _done_s(self, url: str) -> float:
        found = _DONE.search((await self.http.get(f"{url}/metrics")).text)
        return float(found[1]) if found else 0.0


def connections() -> httpx.AsyncClient:
    """A client with as many connections as there are requests."""
    return httpx.AsyncClient(timeout=None, limits=_CONNECTIONS)


async def transcribed(http: httpx.AsyncClient, gateway: ServerProcess, file: bytes, name: str) -> float:
    """Returns the latency in seconds. Raises: httpx.HTTPError."""
    began = time.perf_counter()
    answer = await http.post(
        f"{gateway.url}/v1/audio/transcriptions", data={"model": MODEL}, files={"file": (name, file)}
    )
    answer.raise_for_status()
    return time.perf_counter() - began
