"""Sends mixed load to the stack of `deploy/swarm` while it is scaled, updated and loses tasks.

    uv run python tests/deploy/swarm_trial.py                  # everything, with an hour of audio again and again
    uv run python tests/deploy/swarm_trial.py --second-node    # and the loss of a node; needs root
    uv run python tests/deploy/swarm_trial.py --short          # at most five minutes

Two keys of unequal appetite send clips, long recordings and realtime turns to two gateways behind one port. Every
request that was accepted must end with the right text. The command prints the counts, and for each key how long clips
took. It needs a Docker Engine that may become a Swarm of one node, and the ports 21100 and 21101.
"""

import argparse
import asyncio
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import soundfile

sys.path.append(str(Path(__file__).parents[1]))

from chaos_sessions import Speaker, broken_promise, speak, words_of, wrong_texts
from containers import docker
from rapl_protocol.audio import WavAudio
from services import SAMPLE, SAMPLE_TEXTS, SELFTEST
from swarm_node import Node
from swarm_stack import KEYS, log_lines_of, running_stack, scale, tasks, update, wait_for_replicas
from websockets.exceptions import InvalidHandshake

PORT = 21100
DEADLINE_S = 900.0
RIGHT, REFUSED, NOT_ACCEPTED = "right text", "refused: the queue was full", "not accepted: no connection"
CLIENTS = {"modest": 1, "greedy": 8}
"""How many clips each key has at once."""
PAUSE_S = {"modest": 1.0, "greedy": 0.0}
"""Between two clips of one client."""
LOST = "LOST"
"""The beginning of every outcome that must not be."""


@dataclass
class Trial:
    """What has happened so far."""

    url: str
    second: Node | None = None
    """The second node, if there is one."""
    is_over: bool = False
    step: str = "before"
    outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By key, kind of request and outcome."""
    clip_s: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    """How long the clips of a key took in a step."""
    audio_s: Counter[str] = field(default_factory=Counter)
    """Seconds of audio that each key has the text of."""

    def count(self, key: str, kind: str, outcome: str) -> None:
        self.outcomes[key, kind, outcome] += 1
        if outcome.startswith(LOST):
            print(f"{time.strftime('%X')} {self.step}: {kind} of the {key} key: {outcome}", file=sys.stderr)

    def lost(self) -> list[tuple[str, str, str]]:
        return [each for each in self.outcomes if each[2].startswith(LOST)]

    def right(self, kind: str) -> int:
        return sum(count for (_, each, outcome), count in self.outcomes.items() if (each, outcome) == (kind, RIGHT))


async def transcribe(url: str, key: str, file: bytes, times: int) -> str:
    """Returns the outcome of one request for a file that has the sample so many times."""
    form = {"model": SELFTEST, "response_format": "json"}
    try:
        async with httpx.AsyncClient(timeout=DEADLINE_S, headers={"authorization": f"Bearer {KEYS[key]}"}) as http:
            answer = await http.post(f"{url}/v1/audio/transcriptions", data=form, files={"file": ("speech", file)})
    except httpx.ConnectError:
        return NOT_ACCEPTED
    except httpx.TransportError as error:
        return f"{LOST}: {type(error).__name__}"
    if answer.status_code == 429:
        return REFUSED
    if answer.status_code != 200:
        return f"{LOST}: {answer.status_code} {answer.text[:200]}"
    is_right = words_of(answer.json()["text"]) == words_of(SAMPLE_TEXTS[SELFTEST]) * times
    return RIGHT if is_right else f"{LOST}: wrong text"


async def send_clips(trial: Trial, key: str) -> None:
    clip, audio_s = SAMPLE.read_bytes(), WavAudio.from_wav(SAMPLE.read_bytes()).duration_s
    while not trial.is_over:
        began, step = time.monotonic(), trial.step
        outcome = await transcribe(trial.url, key, clip, 1)
        trial.count(key, "clip", outcome)
        if outcome == RIGHT:
            trial.clip_s.setdefault((step, key), []).append(time.monotonic() - began)
            trial.audio_s[key] += audio_s
        await asyncio.sleep(PAUSE_S[key] or (0.0 if outcome == RIGHT else 1.0))


async def send_recordings(trial: Trial, key: str, recording: bytes, times: int) -> None:
    while not trial.is_over:
        outcome = await transcribe(trial.url, key, recording, times)
        trial.count(key, "recording", outcome)
        if outcome == RIGHT:
            trial.audio_s[key] += times * WavAudio.from_wav(SAMPLE.read_bytes()).duration_s
        else:
            await asyncio.sleep(1)


async def speak_turns(trial: Trial, key: str) -> None:
    speaker, dice = Speaker("session", SELFTEST, turns=2), random.Random(key)
    while not trial.is_over:
        for outcome in await _outcomes_of_session(trial.url, key, speaker, dice):
            trial.count(key, "turn", outcome)
            if outcome == NOT_ACCEPTED:
                await asyncio.sleep(1)


async def _outcomes_of_session(url: str, key: str, speaker: Speaker, dice: random.Random) -> list[str]:
    try:
        heard = await speak(url, speaker, dice, DEADLINE_S, authorization=f"Bearer {KEYS[key]}")
    except (OSError, InvalidHandshake):
        return [NOT_ACCEPTED]
    if wrong := broken_promise(heard, gateway_was_killed=False) or wrong_texts(heard):
        return [f"{LOST}: {wrong}"]
    failed = [f"{LOST}: {event['error']['code']}" for event in heard.of(".failed")]
    return [RIGHT] * len(heard.of(".completed")) + failed


def steps(short: bool, second: Node | None) -> list[tuple[str, Callable[[], object]]]:
    """What is done to the stack under load, in order."""
    loss = [("a node is lost", lambda: lose(second)), ("after it", lambda: time.sleep(60))] if second else []
    fast = ("--update-delay", "1s", "--update-monitor", "5s") if short else ()
    return [
        ("one engine", lambda: time.sleep(10 if short else 60)),
        ("one engine to four", lambda: scale("sensevoice-service", 4)),
        ("four engines", lambda: time.sleep(10 if short else 60)),
        ("two engines are lost", lambda: kill("sensevoice-service", 2, 4)),
        ("four engines to two", lambda: scale("sensevoice-service", 2)),
        *loss,
        ("the engines are updated", lambda: update("sensevoice-service", *fast)),
        ("the gateways are updated", lambda: update("gateway", *fast)),
        ("a preprocess-service is lost", lambda: kill("preprocess-service", 1, 2)),
        ("preprocess-service is updated", lambda: update("preprocess-service", *fast)),
        ("at the end", lambda: time.sleep(5 if short else 60)),
    ]


def kill(name: str, count: int, replicas: int) -> None:
    """Kills tasks, as the loss of their node does, and waits until Swarm has replaced them."""
    docker("kill", *tasks(name)[:count])
    time.sleep(2)
    wait_for_replicas(name, replicas)


def lose(node: Node) -> None:
    """Loses the node, and waits until Swarm has replaced its tasks on the other one."""
    node.lose()
    wait_for_replicas("sensevoice-service", 2)
    wait_for_replicas("preprocess-service", 2)


async def run_steps(trial: Trial, short: bool) -> None:
    for name, action in steps(short, trial.second):
        trial.step = name
        print(f"{time.strftime('%X')} {name}", file=sys.stderr)
        await asyncio.to_thread(action)
    trial.is_over = True


def as_flac(pcm: bytes) -> bytes:
    """Samples (16 kHz mono s16le) of any length as a FLAC file."""
    file = BytesIO()
    soundfile.write(file, np.frombuffer(pcm, np.int16), 16_000, format="FLAC")
    return file.getvalue()


async def run_trial(trial: Trial, short: bool) -> None:
    pcm = bytes(WavAudio.from_wav(SAMPLE.read_bytes()).pcm)
    times = (300 if short else 3600) * 32_000 // len(pcm)
    recording = as_flac(pcm * times)
    load: list[Awaitable[None]] = [send_recordings(trial, "greedy", recording, times)]
    for key, clients in CLIENTS.items():
        load += [send_clips(trial, key) for _ in range(clients)]
        load.append(speak_turns(trial, key))
    await asyncio.gather(run_steps(trial, short), *load)


def table(trial: Trial) -> str:
    """The counts, and for each step how long the clips of each key took."""
    lines = [f"{count:6}  {key:7} {kind:10} {end}" for (key, kind, end), count in sorted(trial.outcomes.items())]
    lines += ["", f"{'':30}  {'modest key: clips, p50, p95':>28}  {'greedy key: clips, p50, p95':>28}"]
    for step in dict.fromkeys(step for step, _ in trial.clip_s):
        cells = [_figures(trial.clip_s.get((step, key), [])) for key in CLIENTS]
        lines.append(f"{step:30}  {cells[0]:>28}  {cells[1]:>28}")
    everything = [[s for (_, each), found in trial.clip_s.items() if each == key for s in found] for key in CLIENTS]
    lines.append(f"{'all':30}  {_figures(everything[0]):>28}  {_figures(everything[1]):>28}")
    lines += ["", *(f"{trial.audio_s[key]:8.0f} s of audio for the {key} key" for key in CLIENTS)]
    return "\n".join(lines)


def _figures(seconds: list[float]) -> str:
    if len(seconds) < 2:
        return f"{len(seconds)}"
    p95 = statistics.quantiles(seconds, n=20, method="inclusive")[-1]
    return f"{len(seconds)}  {statistics.median(seconds):6.2f} s {p95:6.2f} s"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="at most five minutes")
    parser.add_argument("--second-node", action="store_true", help="a second node, which is lost; needs root")
    given = parser.parse_args()
    with running_stack(PORT, engines=1, has_second_node=given.second_node) as stack:
        trial = Trial(stack.url, stack.second)
        asyncio.run(run_trial(trial, given.short))
        served = log_lines_of("gateway", '"method": "POST"')
    print(table(trial))
    print(f"requests of the two gateways since their update: {served}")
    return 1 if trial.lost() else 0


if __name__ == "__main__":
    sys.exit(main())
