"""Measures what one gateway can do: CPU time for each request, each second of a recording and each replica."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from rapl_bench import recordings
from rapl_bench.fleet import Fleet, set_engine_ms
from rapl_bench.load import LoadResult, run_load, transcription
from rapl_bench.processes import ServerProcess
from rapl_bench.scaling.simulated_day import SEGMENT_S
from rapl_bench.stub_engine import MODEL

CLIP_S, AT_ONCE = 5.0, 16
_WARM_UP = 50


@dataclass(frozen=True, slots=True)
class GatewayLimit:
    """CPU times in seconds, measured with an engine that takes no time."""

    requests_per_s: float
    """Of clips, with the load generator, preprocess-service and the engine on the same cores."""
    gateway_clip_s: float
    """Of the gateway, for a clip of 5 s."""
    preprocess_clip_s: float
    gateway_recording_s: float
    """Of the gateway, for one second of audio of a recording."""
    preprocess_recording_s: float
    replica_clip_s: float
    """Of the gateway, for each replica at each clip, because it compares them all; the times above are without it."""
    poll_s: float
    """Of the gateway, for one second of watching one replica without requests."""

    def clips_per_core(self) -> float:
        """Clips per second of a gateway whose core is busy all the time. A gateway is one process and uses one core."""
        return 1 / self.gateway_clip_s

    def busy(self, clips_per_s: float, recordings_audio_s: float, replicas: int) -> float:
        """Returns which part of a core a gateway needs.

        Args:
            clips_per_s: clips per second.
            recordings_audio_s: seconds of audio of recordings per second.
            replicas: how many it watches.
        """
        segments_per_s = clips_per_s + recordings_audio_s / SEGMENT_S
        of_clips = clips_per_s * self.gateway_clip_s
        of_recordings = recordings_audio_s * self.gateway_recording_s
        return of_clips + of_recordings + replicas * (segments_per_s * self.replica_clip_s + self.poll_s)


def gateway_limit(fleet: Fleet, *, clips_for_s: float, recording_s: float, watched: int) -> GatewayLimit:
    """Measures one gateway.

    Args:
        fleet: starts the services.
        clips_for_s: how long clips are sent, in seconds.
        recording_s: length of the recording that is sent, in seconds.
        watched: how many replicas are watched in the measurement of `poll_s`.
    """
    stub, preprocess = fleet.stub(addresses=watched), fleet.preprocess()
    set_engine_ms(stub, 0)
    gateway = fleet.gateway(stub, preprocess)
    clips, of_clips = _clips(gateway, preprocess, clips_for_s)
    media = recordings.encoded(recordings.speech(recording_s), "m4a")
    long = transcription(gateway.url, media, "long.m4a", MODEL)
    before = _cpu_s(gateway, preprocess)
    run_load(long, at_once=1, count=1)
    of_recordings = [spent / recording_s for spent in _spent(before, gateway, preprocess)]
    urls = [f"http://127.0.0.{number}:{stub.port}" for number in range(1, watched + 1)]
    many = fleet.gateway(stub, preprocess, RAPL_SENSEVOICE_URL=",".join(urls))
    before, began = _cpu_s(gateway, many), time.monotonic()
    time.sleep(clips_for_s)
    of_one, of_many = _spent(before, gateway, many)
    poll_s = max(0.0, of_many - of_one) / (watched - 1) / (time.monotonic() - began)
    _, of_clips_of_many = _clips(many, preprocess, clips_for_s)
    replica_clip_s = max(0.0, of_clips_of_many[0] - of_clips[0]) / (watched - 1)
    return GatewayLimit(
        clips.requests_per_s,
        gateway_clip_s=of_clips[0],
        preprocess_clip_s=of_clips[1],
        gateway_recording_s=of_recordings[0],
        preprocess_recording_s=of_recordings[1],
        replica_clip_s=replica_clip_s,
        poll_s=poll_s,
    )


def _clips(gateway: ServerProcess, preprocess: ServerProcess, for_s: float) -> tuple[LoadResult, list[float]]:
    """Sends clips. Returns the timings, and the CPU time of both services for a clip."""
    clip = transcription(gateway.url, recordings.wav(CLIP_S), "clip.wav", MODEL)
    run_load(clip, at_once=AT_ONCE, count=_WARM_UP)
    before = _cpu_s(gateway, preprocess)
    clips = run_load(clip, at_once=AT_ONCE, for_s=for_s)
    return clips, [spent / len(clips.latencies_s) for spent in _spent(before, gateway, preprocess)]


def _cpu_s(*servers: ServerProcess) -> list[float]:
    """CPU time of each server with its child processes, in seconds."""
    return [sum(map(_used_s, _family(server))) for server in servers]


def _family(server: ServerProcess) -> Sequence[psutil.Process]:
    process = psutil.Process(server.pid)
    return [process, *process.children(recursive=True)]


def _used_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system + times.children_user + times.children_system


def _spent(before: Sequence[float], *servers: ServerProcess) -> list[float]:
    return [after - then for then, after in zip(before, _cpu_s(*servers), strict=True)]


async def measured_limit(fleet: Fleet, *, quick: bool) -> GatewayLimit:
    seconds = 0.5 if quick else 5.0
    recording_s, watched = (60.0, 5) if quick else (3600.0, 100)
    return await asyncio.to_thread(gateway_limit, fleet, clips_for_s=seconds, recording_s=recording_s, watched=watched)
