"""Sends an hour of mixed load at a share of the fleet's capacity, and records each service's memory and open files.

    uv run python tests/soak.py --minutes 60 --share 0.7

First it measures the capacity, with one request of each kind at a time. Then it sends requests at random moments, at
that share of the rate. Clips have many different lengths, since an engine may cache something for each length.

It fails if an answer is wrong, if a service's memory grows by more than it scatters, if more files are open at rest
than before, or if a temporary file is left. Under load, the number of open files and of decoding processes depends on
how many requests are running, and so on the machine's speed. So it checks open files at rest, and the memory of one
decoding process instead of the sum.
"""

import argparse
import asyncio
import json
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import cycle
from pathlib import Path

import numpy as np
import psutil
from chaos import RIGHT, Request, Run, kinds, outcome, table
from rapl_protocol.audio import WavAudio
from rapl_protocol.wire import KEEP_ALIVE_S
from services import SELFTEST, Fleet, running_fleet

EVERY_S = 10.0
CALIBRATION_S = 60.0
WARM_UP_SHARE = 1 / 6
"""Fraction of the time. Caches and pools that fill on first use are not growth."""
HELD, HELD_BY_DECODER, DECODERS, FILES = "memory (MB)", "decoder (MB)", "decoders", "open files"
LEAST_GROWTH = {HELD: 1.5, HELD_BY_DECODER: 1.5, FILES: 2.0}
"""Smaller growth is ignored."""
REST_S = KEEP_ALIVE_S + 5.0
"""After this time every idle connection is closed."""
MAX_PAUSE_FRAMES = 200
LONGEST_PAUSE_FRAMES = 430
"""Together with the words nearly 30 s."""
FRAME_BYTES = 1_920
"""60 ms of canonical WAV, the frame of SenseVoice."""
LENGTH_STEP_FRAMES = 8
"""SenseVoice's engine rounds lengths to these steps. It caches something for each length and for each number of clips
of that length in one batch; by chance a pair of one length may take an hour to occur."""
TOGETHER = (1, 2, 3)
BUSY_AFTER_S = 0.03
PRIVATE_KB = re.compile(r"^Private_Dirty: +(\d+) kB$", re.MULTILINE)
"""Source: proc_pid_smaps(5)."""
BARS = "▁▂▃▄▅▆▇█"


@dataclass
class Series:
    """Values of one service at equal intervals, and at rest before and after the load."""

    service: str
    what: str
    values: list[float] = field(default_factory=list)
    at_rest: list[float] = field(default_factory=list)

    def growth(self) -> tuple[float, float]:
        """The rise of a straight line through the values after the warm-up, and their standard deviation from it."""
        warm = np.array(self.values[int(len(self.values) * WARM_UP_SHARE) :])
        at = np.linspace(0, 1, len(warm))
        rise, start = np.polyfit(at, warm, 1)
        return float(rise), float(np.std(warm - (start + rise * at)))

    def is_flat(self) -> bool:
        if self.what == FILES:
            before, after = self.at_rest
            return after <= before + LEAST_GROWTH[FILES]
        if self.what == DECODERS:
            return True
        rise, noise = self.growth()
        return rise <= max(2 * noise, LEAST_GROWTH[self.what])

    def line(self) -> str:
        rise, noise = self.growth()
        parts = [float(np.median(part)) for part in np.array_split(np.array(self.values), min(40, len(self.values)))]
        low, high = min(self.values), max(self.values)
        plot = "".join(BARS[int((part - low) / ((high - low) or 1) * (len(BARS) - 1))] for part in parts)
        summary = f"{low:7.1f} to {high:7.1f}, rise {rise:+6.2f}, scatter {noise:5.2f}"
        summary += ", at rest " + " and ".join(f"{held:.1f}" for held in self.at_rest)
        return f"{self.service:11} {self.what:12} {plot} {summary}{'' if self.is_flat() else '  GROWS'}"


def measured(pid: int) -> dict[str, float]:
    """Values of a process and its children. The children of its children are decoding processes."""
    main = psutil.Process(pid)
    lasting = [main, *main.children()]
    held = [seen for process in lasting if (seen := own_memory_and_files(process))]
    by_decoders = [
        seen for child in lasting[1:] for process in child.children() if (seen := own_memory_and_files(process))
    ]
    what = {HELD: sum(mb for mb, _ in held), FILES: float(sum(files for _, files in held + by_decoders))}
    if by_decoders:
        what |= {HELD_BY_DECODER: float(np.mean([mb for mb, _ in by_decoders])), DECODERS: float(len(by_decoders))}
    return what


def own_memory_and_files(process: psutil.Process) -> tuple[float, int] | None:
    """MB and open files; None if the process has just ended. Only private dirty pages count: which process a library's
    shared pages count for depends on the other processes that use it, and varied by 50 MB with each engine."""
    try:
        rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        found = PRIVATE_KB.search(rollup)
        return (int(found[1]) / 1e3, process.num_fds()) if found else None
    except (ProcessLookupError, FileNotFoundError, psutil.NoSuchProcess):
        return None


async def measured_fleet(fleet: Fleet) -> dict[tuple[str, str], float]:
    held = {}
    for name, service in fleet.services.items():
        seen = await asyncio.to_thread(measured, service.pid)
        held |= {(name, what): value for what, value in seen.items()}
    return held


async def rest(fleet: Fleet, series: Sequence[Series]) -> None:
    await asyncio.sleep(REST_S)
    held = await measured_fleet(fleet)
    for each in series:
        if (each.service, each.what) in held:
            each.at_rest.append(held[each.service, each.what])


async def watch(fleet: Fleet, series: Sequence[Series], until_s: float) -> None:
    while time.monotonic() < until_s:
        held = await measured_fleet(fleet)
        for each in series:
            if (each.service, each.what) in held:  # the last decoding process may just be ending
                each.values.append(held[each.service, each.what])
        await asyncio.sleep(EVERY_S)


async def capacity(fleet: Fleet, seconds: float) -> float:
    """Requests per second, with all kinds in equal numbers."""
    requests, done, end = cycle(kinds()), 0, time.monotonic() + seconds

    async def one_after_another() -> None:
        nonlocal done
        while time.monotonic() < end:
            await expect_right(fleet, next(requests))
            done += 1

    began = time.monotonic()
    await asyncio.gather(*(one_after_another() for _ in kinds()))
    return done / (time.monotonic() - began)


async def fill(fleet: Fleet) -> None:
    """Sends each length alone and in batches: requests that arrive while the engine is busy form a batch."""
    clip = next(request for request in kinds() if request.kind == "clip")
    for frames in range(0, MAX_PAUSE_FRAMES + LENGTH_STEP_FRAMES, LENGTH_STEP_FRAMES):
        for together in TOGETHER:
            async with asyncio.TaskGroup() as running:
                running.create_task(expect_right(fleet, with_pause(clip, LONGEST_PAUSE_FRAMES)))
                await asyncio.sleep(BUSY_AFTER_S)
                for _ in range(together):
                    running.create_task(expect_right(fleet, with_pause(clip, frames)))


async def expect_right(fleet: Fleet, request: Request) -> None:
    ended = await outcome(fleet, request)
    assert ended == RIGHT, ended


async def load(fleet: Fleet, per_s: float, until_s: float, seed: int) -> Counter[tuple[str, str]]:
    """Sends requests at random moments, without waiting for earlier answers. Returns outcomes by kind."""
    counts: Counter[tuple[str, str]] = Counter()
    dice, requests = random.Random(seed), kinds()

    async def send() -> None:
        request = with_pause(dice.choice(requests), dice.randrange(MAX_PAUSE_FRAMES))
        counts[request.kind, await outcome(fleet, request)] += 1

    async with asyncio.TaskGroup() as running:
        while time.monotonic() < until_s:
            running.create_task(send())
            await asyncio.sleep(dice.expovariate(per_s))
    return counts


def with_pause(request: Request, frames: int) -> Request:
    """The request with `frames` of silence at the end of its WAV. Other formats stay as they are, and so do requests to
    the tiny Qwen3-ASR, which loses words before a pause."""
    if request.model != SELFTEST or not request.file.startswith(b"RIFF"):
        return request
    pcm = bytes(WavAudio.from_wav(request.file).pcm)
    return replace(request, file=WavAudio(pcm + bytes(frames * FRAME_BYTES)).to_wav())


async def soak(
    fleet: Fleet, minutes: float, share: float, seed: int
) -> tuple[float, Counter[tuple[str, str]], Sequence[Series]]:
    """Requests per second, their outcomes, and the services' values."""
    await fill(fleet)
    await capacity(fleet, CALIBRATION_S / 6)
    per_s = share * await capacity(fleet, CALIBRATION_S)
    series = [Series(name, what) for name, what in await measured_fleet(fleet)]
    await rest(fleet, series)
    until_s = time.monotonic() + 60 * minutes
    counts, _ = await asyncio.gather(load(fleet, per_s, until_s, seed), watch(fleet, series, until_s))
    await rest(fleet, series)
    return per_s, counts, series


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--minutes", type=float, default=60)
    options.add_argument("--share", type=float, default=0.7)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--cores", type=int, nargs="+", help="cores for the fleet (default: all)")
    options.add_argument("--series", type=Path, help="write the values to this file, as JSON")
    given = options.parse_args()
    every_core = os.sched_getaffinity(0)
    pythons = os.environ["RAPL_SENSEVOICE_PYTHON"], os.environ["RAPL_MLX_PYTHON"]
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / "tmp"
        temporary.mkdir()
        os.environ["TMPDIR"] = str(temporary)
        os.sched_setaffinity(0, given.cores or every_core)
        with running_fleet(Path(folder), *pythons) as fleet:
            os.sched_setaffinity(0, every_core)
            per_s, counts, series = asyncio.run(soak(fleet, given.minutes, given.share, given.seed))
        left = [file.name for file in temporary.iterdir()]
    print(f"{per_s:.2f} requests/s, {given.share:.0%} of the fleet's capacity, for {given.minutes:g} minutes")
    print(table(Run(counts)))
    print("\n".join(each.line() for each in series))
    if given.series:
        given.series.write_text(json.dumps([asdict(each) for each in series]))
    print(f"temporary files left: {left or 'none'}")
    is_right = {ended for _, ended in counts} == {RIGHT}
    return 0 if is_right and all(each.is_flat() for each in series) and not left else 1


if __name__ == "__main__":
    sys.exit(main())
