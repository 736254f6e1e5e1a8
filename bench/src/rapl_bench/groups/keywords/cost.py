"""What keywords cost at the real dimensions: `python cost.py MODEL ROUNDS`, in sensevoice-service's environment.

Writes one line of JSON: for each number of phrases, the milliseconds for 5 s of noise in each round, and once the
milliseconds to make the graph.
"""

import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

WORDS = (
    "start", "stop", "open", "close", "play", "pause", "next", "back", "up", "down", "left", "right", "yes", "no", "on",
    "off", "light", "door", "music", "volume", "hello", "please", "turn", "set",
)  # fmt: skip
LENGTHS = (0, 10, 100, 1_000)
SAMPLES = 5 * 16_000


def main(folder: Path, rounds: int) -> None:
    from rapl_protocol.audio import WavAudio
    from rapl_sensevoice.runtimes.openvino import OpenVinoRuntime
    from rapl_sensevoice.runtimes.runtime import DecodeRequest

    runtime = OpenVinoRuntime("int8", len(os.sched_getaffinity(0)))
    runtime.load(folder)
    noise = np.random.default_rng(0).normal(0, 1000, SAMPLES).astype("<i2")
    features = runtime.features(WavAudio(noise.tobytes()))
    graphs: dict[int, Any] = {}
    build_ms: dict[int, float] = {}
    for length in LENGTHS:
        began = time.perf_counter()
        graphs[length] = runtime.graph(phrases(length)) if length else None
        build_ms[length] = 1000 * (time.perf_counter() - began)
    taken_ms: dict[int, list[float]] = {length: [] for length in LENGTHS}
    for number in range(rounds + 1):
        for length, graph in graphs.items():
            began = time.perf_counter()
            runtime.decode_batch([DecodeRequest(features, None, with_times=False, graph=graph)])
            if number:  # the first round is a warm-up
                taken_ms[length].append(1000 * (time.perf_counter() - began))
    print(json.dumps({"build_ms": build_ms, "taken_ms": taken_ms}))


def phrases(length: int) -> tuple[str, ...]:
    rng, found = random.Random(0), dict[str, None]()
    while len(found) < length:
        found[" ".join(rng.choices(WORDS, k=rng.randint(1, 3)))] = None
    return tuple(found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
