"""Mixed load on a native fleet while each of its services in turn is killed, stopped and restarted at random.

    uv run python tests/chaos.py --seconds 600 --seed 1

Every request must end in the right text, or in a clear error within its deadline. The counts are printed.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from media import as_media
from rapl_protocol.audio import WavAudio
from services import ServiceProcess, until

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "samples" / "three-one-four.wav"
SELFTEST = "rapl/selftest"
DIGITS = "mlx-community/digits-Qwen3-ASR-8bit"
WORDS = {SELFTEST: ["3", "1", "4", "1", "5", "9"], DIGITS: ["three", "one", "four", "one", "five", "nine"]}
CLEAR = {"backend_unavailable", "backend_timeout", "model_not_ready", "overloaded"}
"""Errors that say what is the matter, and that it is not the request's doing."""
DEADLINE_S = 150.0
PAUSE_S = 20.0
RIGHT, NOT_ACCEPTED, WITH_THE_GATEWAY = "right text", "not accepted: the gateway was away", "ended with the gateway"


@dataclass(frozen=True)
class Request:
    """One kind of what people send."""

    kind: str
    model: str
    file: bytes
    times: int
    """How often the sample is in it."""
    is_streamed: bool = False


@dataclass
class Fleet:
    services: dict[str, ServiceProcess]
    gateway_faults: list[float] = field(default_factory=list)
    """When the gateway was killed."""

    @property
    def url(self) -> str:
        return self.services["gateway"].url


@contextmanager
def running_fleet(folder: Path) -> Iterator[Fleet]:
    preprocess = ServiceProcess(sys.executable, "rapl_preprocess", "RAPL_PREPROCESS_PORT", folder / "preprocess")
    models = {"RAPL_SENSEVOICE_MODEL_DIR": str(folder / "models")}
    python = os.environ["RAPL_SENSEVOICE_PYTHON"]
    sensevoice = ServiceProcess(python, "rapl_sensevoice", "RAPL_SENSEVOICE_PORT", folder / "sensevoice", **models)
    digits = {"RAPL_MLX_MODELS": f"{DIGITS}={ROOT / 'tests' / 'models' / 'digits-Qwen3-ASR-8bit'}"}
    mlx = ServiceProcess(os.environ["RAPL_MLX_PYTHON"], "rapl_mlx", "RAPL_MLX_PORT", folder / "mlx", **digits)
    urls = {
        "RAPL_PREPROCESS_URL": preprocess.url,
        "RAPL_SENSEVOICE_URL": sensevoice.url,
        "RAPL_MLX_URL": mlx.url,
        "RAPL_CONFIG": str(folder / "none"),
    }
    gateway = ServiceProcess(sys.executable, "rapl_gateway", "RAPL_PORT", folder / "gateway", **urls)
    fleet = Fleet({"preprocess": preprocess, "sensevoice": sensevoice, "mlx": mlx, "gateway": gateway})
    with ExitStack() as stack:
        for service in fleet.services.values():
            stack.enter_context(service)
        until("the models are ready", lambda: {SELFTEST, DIGITS} <= ready_models(fleet))
        yield fleet


def ready_models(fleet: Fleet) -> set[str]:
    listed = httpx.get(f"{fleet.url}/v1/models").json()["data"]
    return {model["id"] for model in listed if model["state"] == "ready"}


def kinds() -> list[Request]:
    wav = SAMPLE.read_bytes()
    pcm = bytes(WavAudio.from_wav(wav).pcm)
    return [
        Request("clip", SELFTEST, wav, 1),
        Request("clip as webm", SELFTEST, as_media(pcm, "webm"), 1),
        Request("clip on mlx", DIGITS, wav, 1),
        Request("stream", SELFTEST, wav, 1, is_streamed=True),
        Request("long file", SELFTEST, as_media(pcm * 10, "flac"), 10),
        Request("long stream", SELFTEST, WavAudio(pcm * 10).to_wav(), 10, is_streamed=True),
    ]


async def outcome(fleet: Fleet, request: Request) -> str:
    """What became of one request; anything that begins with WRONG breaks the promise."""
    began = time.monotonic()
    data = {"model": request.model, "stream": "true" if request.is_streamed else "false"}
    try:
        async with httpx.AsyncClient(timeout=DEADLINE_S) as http, asyncio.timeout(DEADLINE_S):
            answer = await http.post(
                f"{fleet.url}/v1/audio/transcriptions", data=data, files={"file": ("speech", request.file)}
            )
    except httpx.ConnectError:
        return NOT_ACCEPTED
    except (TimeoutError, httpx.TimeoutException):
        return "WRONG: no answer within the deadline"
    except httpx.TransportError as error:
        was_killed = any(at >= began - 1 for at in fleet.gateway_faults)
        return WITH_THE_GATEWAY if was_killed else f"WRONG: {type(error).__name__} although the gateway was there"
    return judged(request, answer)


def judged(request: Request, answer: httpx.Response) -> str:
    if "json" not in answer.headers["content-type"] and "event-stream" not in answer.headers["content-type"]:
        return f"WRONG: {answer.status_code} {answer.text[:80]!r}"
    if answer.status_code != 200:
        return clear_error(answer.json(), str(answer.status_code))
    if not request.is_streamed:
        return right_text(request, answer.json()["text"])
    for block in answer.text.split("\n\n"):
        name, _, content = block.rpartition("data: ")
        if "event: error" in name:
            return clear_error(json.loads(content), "error event")
        if "transcript.text.done" in content:
            return right_text(request, json.loads(content)["text"])
    return "WRONG: a stream that ends without an end"


def right_text(request: Request, text: str) -> str:
    is_right = text.replace(".", "").split() == WORDS[request.model] * request.times
    return RIGHT if is_right else f"WRONG: text of {request.kind}: {text[:80]!r}"


def clear_error(body: dict, how: str) -> str:
    code = body.get("error", {}).get("code")
    return f"clear error: {how} {code}" if code in CLEAR else f"WRONG: {how} {code}: {body}"


async def keep_asking(fleet: Fleet, request: Request, until_s: float, counts: Counter[tuple[str, str]]) -> None:
    while time.monotonic() < until_s:
        what = await outcome(fleet, request)
        counts[request.kind, what] += 1
        if what.startswith("WRONG"):
            print(f"{time.strftime('%X')} {request.kind}: {what}", file=sys.stderr)
        if what == NOT_ACCEPTED:
            await asyncio.sleep(0.2)


def fault(fleet: Fleet, name: str, kind: str, dice: random.Random) -> None:
    service = fleet.services[name]
    if kind == "stopped":
        service.signal(signal.SIGSTOP)
        time.sleep(dice.uniform(0.5, 6))
        service.signal(signal.SIGCONT)
        return
    if kind == "killed":
        if name == "gateway":
            fleet.gateway_faults.append(time.monotonic())
        service.kill()
        time.sleep(dice.uniform(0, 2))
    else:
        assert service.stop() == 0, f"{name} ended with another exit code than 0"
    service.start()


def wait_until_ready(fleet: Fleet) -> None:
    """Not for longer than a fault may take: the next one may well come while a model still loads."""
    deadline = time.monotonic() + PAUSE_S
    while time.monotonic() < deadline and not {SELFTEST, DIGITS} <= ready_models(fleet):
        time.sleep(0.2)


async def break_things(fleet: Fleet, until_s: float, dice: random.Random, faults: Counter[str]) -> None:
    while time.monotonic() < until_s:
        turns = [(name, kind) for name in fleet.services for kind in ("killed", "stopped", "restarted")]
        dice.shuffle(turns)
        for name, kind in turns:
            if time.monotonic() >= until_s:
                return
            await asyncio.to_thread(fault, fleet, name, kind, dice)
            faults[f"{name} {kind}"] += 1
            await asyncio.to_thread(wait_until_ready, fleet)
            await asyncio.sleep(dice.uniform(0.5, 3))


async def run(fleet: Fleet, seconds: float, seed: int) -> tuple[Counter[tuple[str, str]], Counter[str]]:
    """How often each kind of request ended how, and how often each service was struck how."""
    counts: Counter[tuple[str, str]] = Counter()
    faults: Counter[str] = Counter()
    until_s = time.monotonic() + seconds
    load = [keep_asking(fleet, request, until_s, counts) for request in kinds()]
    await asyncio.gather(break_things(fleet, until_s, random.Random(seed), faults), *load)
    return counts, faults


def table(counts: Counter[tuple[str, str]], faults: Counter[str]) -> str:
    lines = [f"{count:6}  {kind}: {what}" for (kind, what), count in sorted(counts.items())]
    return "\n".join([*(f"{count:6}  {what}" for what, count in sorted(faults.items())), "", *lines])


def wrong(counts: Counter[tuple[str, str]]) -> list[tuple[str, str]]:
    return [each for each in counts if each[1].startswith("WRONG")]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=600)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_fleet(Path(folder)) as fleet:
        counts, faults = asyncio.run(run(fleet, given.seconds, given.seed))
    print(table(counts, faults))
    return 1 if wrong(counts) else 0


if __name__ == "__main__":
    sys.exit(main())
