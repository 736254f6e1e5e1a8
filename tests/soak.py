"""An hour of mixed load, at a share of what the fleet can do, and what each service holds meanwhile.

No two clips need be equally long, for an engine may keep something for every length that it hears.

    uv run python tests/soak.py --minutes 60 --share 0.7

What the fleet can do is measured first, with as many requests at once as it has kinds of them. Then requests come at
random moments, at that share of the rate. It fails where an answer is wrong, where a service's memory grows by more
than it scatters, where more files are open at rest than before, or where a temporary file is left. How many are open
in between says how many requests were at work, and so how fast the machine was; and so does how many decoders there
were, which come and go with the requests. So what one of them holds is looked at, and not what all of them do.
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
from chaos import RIGHT, SELFTEST, Fleet, Request, kinds, outcome, running_fleet, table
from rapl_protocol.audio import WavAudio
from rapl_protocol.wire import KEEP_ALIVE_S

EVERY_S = 10.0
CALIBRATION_S = 60.0
WARM_UP_SHARE = 1 / 6
"""Of the time: what is filled on first use, such as caches and pools, is no growth."""
HELD, HELD_BY_DECODER, DECODERS, FILES = "memory (MB)", "decoder (MB)", "decoders", "open files"
LEAST_GROWTH = {HELD: 1.5, HELD_BY_DECODER: 1.5, FILES: 2.0}
"""Less is none, however little it scatters."""
REST_S = KEEP_ALIVE_S + 5.0
"""By then every idle connection was let go of."""
MAX_PAUSE_FRAMES = 200
LONGEST_PAUSE_FRAMES = 430
"""With the words, nearly 30 s."""
FRAME_BYTES = 1_920
"""60 ms of canonical WAV, the frame of SenseVoice."""
LENGTH_STEP_FRAMES = 8
"""SenseVoice's engine computes lengths in these steps, and keeps something for each and for every number of equal
clips that it has computed together; a pair of one length may take an hour to come by chance."""
TOGETHER = (1, 2, 3)
BUSY_AFTER_S = 0.03
PRIVATE_KB = re.compile(r"^Private_Dirty: +(\d+) kB$", re.MULTILINE)
"""Source: proc_pid_smaps(5)."""
BARS = "▁▂▃▄▅▆▇█"


@dataclass
class Series:
    """What one service held, at equal intervals, and at rest before and after them."""

    service: str
    what: str
    values: list[float] = field(default_factory=list)
    at_rest: list[float] = field(default_factory=list)

    def growth(self) -> tuple[float, float]:
        """From warm to the end: how much a straight line through the values rises, and their deviation from it."""
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
        told = f"{low:7.1f} to {high:7.1f}, rise {rise:+6.2f}, scatter {noise:5.2f}"
        told += ", at rest " + " and ".join(f"{held:.1f}" for held in self.at_rest)
        return f"{self.service:11} {self.what:12} {plot} {told}{'' if self.is_flat() else '  GROWS'}"


def looked_at(pid: int) -> dict[str, float]:
    """What a process and its children hold; their children's children are decoders."""
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
    """None of a decoder that has just ended. Only pages that are its alone and were written to count: whose the pages
    of a library are depends on who else runs with it, and these would come and go by 50 MB with any other engine."""
    try:
        rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        found = PRIVATE_KB.search(rollup)
        return (int(found[1]) / 1e3, process.num_fds()) if found else None
    except (ProcessLookupError, FileNotFoundError, psutil.NoSuchProcess):
        return None


async def what_is_held(fleet: Fleet) -> dict[tuple[str, str], float]:
    held = {}
    for name, service in fleet.services.items():
        seen = await asyncio.to_thread(looked_at, service.pid)
        held |= {(name, what): value for what, value in seen.items()}
    return held


async def rest(fleet: Fleet, series: Sequence[Series]) -> None:
    await asyncio.sleep(REST_S)
    held = await what_is_held(fleet)
    for each in series:
        if (each.service, each.what) in held:
            each.at_rest.append(held[each.service, each.what])


async def watch(fleet: Fleet, series: Sequence[Series], until_s: float) -> None:
    while time.monotonic() < until_s:
        held = await what_is_held(fleet)
        for each in series:
            if (each.service, each.what) in held:  # the last decoder may just be ending
                each.values.append(held[each.service, each.what])
        await asyncio.sleep(EVERY_S)


async def capacity(fleet: Fleet, seconds: float) -> float:
    """Requests a second, all kinds in equal numbers."""
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
    """Has each length computed, alone and together: while an engine is busy, what comes for it is put together."""
    clip = next(request for request in kinds() if request.kind == "clip")
    for frames in range(0, MAX_PAUSE_FRAMES + LENGTH_STEP_FRAMES, LENGTH_STEP_FRAMES):
        for together in TOGETHER:
            async with asyncio.TaskGroup() as running:
                running.create_task(expect_right(fleet, with_pause(clip, LONGEST_PAUSE_FRAMES)))
                await asyncio.sleep(BUSY_AFTER_S)
                for _ in range(together):
                    running.create_task(expect_right(fleet, with_pause(clip, frames)))


async def expect_right(fleet: Fleet, request: Request) -> None:
    what = await outcome(fleet, request)
    assert what == RIGHT, what


async def load(fleet: Fleet, per_s: float, until_s: float, seed: int) -> Counter[tuple[str, str]]:
    """Requests at random moments, whether or not those before them have been answered."""
    counts: Counter[tuple[str, str]] = Counter()
    dice, requests = random.Random(seed), kinds()

    async def ask() -> None:
        request = with_pause(dice.choice(requests), dice.randrange(MAX_PAUSE_FRAMES))
        counts[request.kind, await outcome(fleet, request)] += 1

    async with asyncio.TaskGroup() as running:
        while time.monotonic() < until_s:
            running.create_task(ask())
            await asyncio.sleep(dice.expovariate(per_s))
    return counts


def with_pause(request: Request, frames: int) -> Request:
    """The same words, and so many frames of silence behind them. What is not WAV is as long as it was, and so is what
    goes to the tiny Qwen3-ASR, which loses words before a pause."""
    if request.model != SELFTEST or not request.file.startswith(b"RIFF"):
        return request
    pcm = bytes(WavAudio.from_wav(request.file).pcm)
    return replace(request, file=WavAudio(pcm + bytes(frames * FRAME_BYTES)).to_wav())


async def soak(
    fleet: Fleet, minutes: float, share: float, seed: int
) -> tuple[float, Counter[tuple[str, str]], Sequence[Series]]:
    """Requests a second that came, how they ended, and what the services held."""
    await fill(fleet)
    await capacity(fleet, CALIBRATION_S / 6)
    per_s = share * await capacity(fleet, CALIBRATION_S)
    series = [Series(name, what) for name, what in await what_is_held(fleet)]
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
    options.add_argument("--cores", type=int, nargs="+", help="the fleet's, where the rest is left to others")
    options.add_argument("--series", type=Path, help="a file for what was seen, as JSON")
    given = options.parse_args()
    every_core = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / "tmp"
        temporary.mkdir()
        os.environ["TMPDIR"] = str(temporary)
        os.sched_setaffinity(0, given.cores or every_core)
        with running_fleet(Path(folder)) as fleet:
            os.sched_setaffinity(0, every_core)
            per_s, counts, series = asyncio.run(soak(fleet, given.minutes, given.share, given.seed))
        left = [file.name for file in temporary.iterdir()]
    print(f"{per_s:.2f} requests/s, {given.share:.0%} of what the fleet can do, for {given.minutes:g} minutes")
    print(table(counts, Counter()))
    print("\n".join(each.line() for each in series))
    if given.series:
        given.series.write_text(json.dumps([asdict(each) for each in series]))
    print(f"temporary files left: {left or 'none'}")
    is_right = {what for _, what in counts} == {RIGHT}
    return 0 if is_right and all(each.is_flat() for each in series) and not left else 1


if __name__ == "__main__":
    sys.exit(main())
