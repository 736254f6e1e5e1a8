"""preprocess-service compared with `ffmpeg`, spawned for each clip, and with plain decoding in process."""

import asyncio
import io
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import av
from av.audio.resampler import AudioResampler
from rapl_protocol.audio import BYTES_PER_SECOND, SAMPLE_RATE_HZ
from rapl_protocol.prepared import MAX_SEGMENT_S

from rapl_bench import recordings
from rapl_bench.fleet import Fleet, set_engine_ms
from rapl_bench.load import Call, median_latency_s, post, transcription
from rapl_bench.recordings import Clips
from rapl_bench.reporting.machine import first_line
from rapl_bench.reporting.results import BenchSettings, Column, Measure, Row, Table
from rapl_bench.rounds import interleaved
from rapl_bench.stub_engine import MODEL

BARE = "bare libav, in process"
DECODED, CHECKED = "preprocess-service, decoding", "preprocess-service, decoding and speech detection"
THROUGH_GATEWAY = "gateway and preprocess-service, minus the engine's time"
SPAWNED = "ffmpeg, spawned for each clip"
FFMPEG_ABSENT = "ffmpeg was not measured: it is not on the PATH (Debian: `apt-get install ffmpeg`)."
_ENGINE_MS = 50.0
_LOST_S = 0.2
"""Seconds of audio that a decoder may cut at the ends of a clip."""


class WrongAudio(Exception):
    """A contestant returned audio of another length than the clip's."""


CASES = (Clips("m4a", 5, 40), Clips("webm", 5, 40), Clips("mp3", 5, 40), Clips("m4a", 30, 15), Clips("m4a", 600, 1))
QUICK_CASES = (Clips("m4a", 5, 3), Clips("webm", 5, 3))


@dataclass(frozen=True, slots=True)
class Servers:
    """Base URLs. The gateway uses the other two."""

    preprocess: str
    gateway: str
    stub: str


async def measure(settings: BenchSettings) -> Sequence[Table]:
    return [await asyncio.to_thread(_table, settings)]


def _table(settings: BenchSettings) -> Table:
    ffmpeg, rounds = shutil.which("ffmpeg"), 2 if settings.quick else 5
    rows: list[Row] = []
    with Fleet(settings.scratch) as fleet:
        stub, preprocess = fleet.stub(), fleet.preprocess()
        set_engine_ms(stub, _ENGINE_MS)
        servers = Servers(preprocess.url, fleet.gateway(stub, preprocess).url, stub.url)
        for case in QUICK_CASES if settings.quick else CASES:
            print(f"rapl bench:   {case.name}", file=sys.stderr)
            rows += _rows(case, servers, ffmpeg, settings.scratch, rounds)
    return Table(
        name="preprocess",
        title="A clip to 16 kHz mono",
        columns=(Column("p50", "ms"), Column("beside bare libav"), Column("above 1.3 x bare libav", "ms")),
        rows=tuple(rows),
        plotted="p50",
        is_log=True,
        notes=(
            "One clip at a time. preprocess-service gets it over HTTP and returns PCM; ffmpeg reads a file that is "
            "written first, as in a server without libav.",
            "Neither ffmpeg nor bare libav detects speech. With detection, preprocess-service sends the audio as soon "
            "as it finds speech, so that an engine can start; its answer ends when the whole clip has been checked.",
            f"The engine is a stub that takes {_ENGINE_MS:g} ms. The time of the same audio as WAV at the stub itself "
            "is subtracted from the clip's time through the gateway, which detects speech.",
            *(() if ffmpeg else (FFMPEG_ABSENT,)),
        ),
        settings={"rounds": str(rounds), **({"ffmpeg": first_line([ffmpeg, "-version"]).split()[2]} if ffmpeg else {})},
    )


def _rows(case: Clips, servers: Servers, ffmpeg: str | None, scratch: Path, rounds: int) -> list[Row]:
    media = case.media()
    decode = post(f"{servers.preprocess}/v1/prepare?speech_detection=off", media, "application/octet-stream")
    check = post(f"{servers.preprocess}/v1/prepare", media, "application/octet-stream")
    contestants: dict[str, Callable[[], float]] = {
        BARE: partial(_median_s, partial(_bare, media, case), case.count),
        DECODED: partial(median_latency_s, decode, case.count),
        CHECKED: partial(median_latency_s, check, case.count),
    }
    if case.duration_s <= MAX_SEGMENT_S:
        whole = transcription(servers.gateway, media, f"speech.{case.codec}", MODEL)
        engine = transcription(servers.stub, recordings.wav(case.duration_s), "speech.wav", MODEL)
        contestants[THROUGH_GATEWAY] = partial(_added_s, whole, engine, case.count)
    if ffmpeg:
        file = scratch / f"clip.{case.codec}"
        contestants[SPAWNED] = partial(_median_s, partial(_spawned, ffmpeg, media, file, case), case.count)
    for contestant in contestants.values():
        contestant()  # warm-up
    taken_s = interleaved(contestants, rounds)
    return [Row(case.name, name, _measures(its, taken_s[BARE])) for name, its in taken_s.items()]


def _measures(taken_s: Sequence[float], bare_s: Sequence[float]) -> dict[str, Measure]:
    pairs = list(zip(taken_s, bare_s, strict=True))
    return {
        "p50": Measure.of([each * 1000 for each in taken_s]),
        "beside bare libav": Measure.of([each / bare for each, bare in pairs]),
        "above 1.3 x bare libav": Measure.of([(each - 1.3 * bare) * 1000 for each, bare in pairs]),
    }


def _added_s(whole: Call, engine: Call, count: int) -> float:
    return median_latency_s(whole, count) - median_latency_s(engine, count)


def _median_s(work: Callable[[], None], count: int) -> float:
    taken_s = []
    for _ in range(count):
        began = time.perf_counter()
        work()
        taken_s.append(time.perf_counter() - began)
    return statistics.median(taken_s)


def _bare(media: bytes, case: Clips) -> None:
    pieces: list[bytes] = []
    resampler = AudioResampler("s16", "mono", SAMPLE_RATE_HZ)
    with av.open(io.BytesIO(media), "r") as container:
        for frame in container.decode(audio=0):
            pieces += [bytes(ready.planes[0])[: ready.samples * 2] for ready in resampler.resample(frame)]
    pieces += [bytes(ready.planes[0])[: ready.samples * 2] for ready in resampler.resample(None)]
    _check_length(len(b"".join(pieces)), case)


def _spawned(ffmpeg: str, media: bytes, file: Path, case: Clips) -> None:
    file.write_bytes(media)
    command = [ffmpeg, "-v", "error", "-nostdin", "-i", str(file), "-ac", "1", "-ar", str(SAMPLE_RATE_HZ)]
    ended = subprocess.run([*command, "-f", "s16le", "pipe:1"], stdout=subprocess.PIPE, check=True)
    _check_length(len(ended.stdout), case)


def _check_length(pcm_bytes: int, case: Clips) -> None:
    if abs(pcm_bytes / BYTES_PER_SECOND - case.duration_s) > _LOST_S:
        raise WrongAudio(f"{case.name} became {pcm_bytes / BYTES_PER_SECOND:.2f} s of audio")
