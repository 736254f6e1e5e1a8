"""Sends mixed load to a fleet while its services are killed, paused and restarted at random.

    uv run python tests/chaos.py --seconds 600 --seed 1

Every request must end with the right text or a clear error, within its deadline, and every committed turn of a realtime
session in its text or in `failed`. The command prints the counts. speaker-service has small random networks, which hear
one person in everything.
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
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from chaos_sessions import SPEAKERS, Speaker, broken_promise, speak, words_of, wrong_texts
from media import as_media
from rapl_protocol.audio import WavAudio
from services import DIGITS, SAMPLE, SAMPLE_TEXTS, SELFTEST, Fleet, running_fleet
from websockets.exceptions import InvalidHandshake, InvalidStatus

CLEAR = {"backend_unavailable", "backend_timeout", "model_not_ready", "overloaded"}
"""Codes of errors that name the cause, and that the request itself did not cause."""
DEADLINE_S = 150.0
PAUSE_S = 20.0
RIGHT, NOT_ACCEPTED, GATEWAY_KILLED = "right text", "not accepted: the gateway was down", "ended with the gateway"


@dataclass(frozen=True)
class Request:
    """One kind of request that clients send."""

    kind: str
    model: str
    file: bytes
    times: int
    """How often the file contains the sample."""
    is_streamed: bool = False
    has_speakers: bool = False

    @property
    def fields(self) -> dict[str, str]:
        form = {"response_format": "diarized_json"} if self.has_speakers else {}
        return {"model": self.model, "stream": "true" if self.is_streamed else "false", **form}


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
        Request("speakers", SELFTEST, wav, 1, has_speakers=True),
        Request("speakers on mlx", DIGITS, wav, 1, has_speakers=True),
        Request("long stream with speakers", SELFTEST, as_media(pcm * 10, "flac"), 10, True, has_speakers=True),
    ]


async def outcome(fleet: Fleet, request: Request, gateway_killed_at: Sequence[float] = ()) -> str:
    """How one request ended; an outcome that begins with WRONG is a failure.

    Args:
        fleet: the services.
        request: what to send.
        gateway_killed_at: when the gateway was killed, as `time.monotonic()`.
    """
    began = time.monotonic()
    try:
        async with httpx.AsyncClient(timeout=DEADLINE_S) as http, asyncio.timeout(DEADLINE_S):
            answer = await http.post(
                f"{fleet.url}/v1/audio/transcriptions", data=request.fields, files={"file": ("speech", request.file)}
            )
    except httpx.ConnectError:
        return NOT_ACCEPTED
    except (TimeoutError, httpx.TimeoutException):
        return "WRONG: no answer within the deadline"
    except httpx.TransportError as error:
        was_killed = any(at >= began - 1 for at in gateway_killed_at)
        return GATEWAY_KILLED if was_killed else f"WRONG: {type(error).__name__} although the gateway was up"
    return verdict(request, answer)


def verdict(request: Request, answer: httpx.Response) -> str:
    if "json" not in answer.headers["content-type"] and "event-stream" not in answer.headers["content-type"]:
        return f"WRONG: {answer.status_code} {answer.text[:80]!r}"
    if answer.status_code != 200:
        return clear_error(answer.json(), str(answer.status_code))
    if not request.is_streamed:
        body = answer.json()
        return right_answer(request, body["text"], body.get("segments", []))
    segments: list[dict] = []
    for block in answer.text.split("\n\n"):
        name, _, content = block.rpartition("data: ")
        if "event: error" in name:
            return clear_error(json.loads(content), "error event")
        if "transcript.text.segment" in content:
            segments.append(json.loads(content))
        if "transcript.text.done" in content:
            return right_answer(request, json.loads(content)["text"], segments)
    return "WRONG: a stream without a final event"


def right_text(request: Request, text: str) -> str:
    is_right = words_of(text) == words_of(SAMPLE_TEXTS[request.model]) * request.times
    return RIGHT if is_right else f"WRONG: text of {request.kind}: {text[:80]!r}"


def right_answer(request: Request, text: str, segments: Sequence[dict]) -> str:
    """Like `right_text`; with speakers the segments have the whole text, and one person says all of it."""
    if request.has_speakers and {each["speaker"] for each in segments} != {"A"}:
        return f"WRONG: speakers of {request.kind}: {[each['speaker'] for each in segments]}"
    said = " ".join(each["text"] for each in segments)
    if request.has_speakers and words_of(said) != words_of(text):
        return f"WRONG: segments of {request.kind}: {said[:80]!r}"
    return right_text(request, text)


def clear_error(body: dict, how: str) -> str:
    code = body.get("error", {}).get("code")
    return f"clear error: {how} {code}" if code in CLEAR else f"WRONG: {how} {code}: {body}"


@dataclass
class Run:
    """The counts of a run so far."""

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By the kind of request and its outcome."""
    faults: Counter[str] = field(default_factory=Counter)
    gateway_killed_at: list[float] = field(default_factory=list)


async def send_repeatedly(fleet: Fleet, request: Request, until_s: float, run: Run) -> None:
    while time.monotonic() < until_s:
        ended = await outcome(fleet, request, run.gateway_killed_at)
        run.outcomes[request.kind, ended] += 1
        if ended.startswith("WRONG"):
            print(f"{time.strftime('%X')} {request.kind}: {ended}", file=sys.stderr)
        if ended == NOT_ACCEPTED:
            await asyncio.sleep(0.2)


async def outcomes_of_session(fleet: Fleet, speaker: Speaker, dice: random.Random, run: Run) -> list[str]:
    """How each turn of one session ended; an outcome that begins with WRONG is a failure."""
    began = time.monotonic()
    try:
        heard = await speak(fleet.url, speaker, dice, DEADLINE_S)
    except TimeoutError:
        return ["WRONG: not all turns ended within the deadline"]
    except InvalidStatus as error:
        status = error.response.status_code
        return [NOT_ACCEPTED if status == 503 else f"WRONG: the handshake got {status}"]
    except (OSError, InvalidHandshake):
        return [NOT_ACCEPTED]
    was_killed = heard.close == 1006 and any(at >= began - 1 for at in run.gateway_killed_at)
    if wrong := broken_promise(heard, gateway_was_killed=was_killed):
        return [f"WRONG: {wrong}"]
    if wrong := wrong_texts(heard):
        return [f"WRONG: text {wrong}"]
    failed = [clear_error(event, "failed") for event in heard.of(".failed")]
    end = GATEWAY_KILLED if was_killed else f"cut short, closed with {heard.close}"
    ended = [end] if heard.was_cut_short else []
    return [RIGHT] * len(heard.of(".completed")) + failed + ended


async def speak_repeatedly(fleet: Fleet, speaker: Speaker, until_s: float, dice: random.Random, run: Run) -> None:
    while time.monotonic() < until_s:
        outcomes = await outcomes_of_session(fleet, speaker, dice, run)
        run.outcomes.update((speaker.kind, ended) for ended in outcomes)
        for ended in outcomes:
            if ended.startswith("WRONG"):
                print(f"{time.strftime('%X')} {speaker.kind}: {ended}", file=sys.stderr)
        if NOT_ACCEPTED in outcomes:
            await asyncio.sleep(0.2)


def inject_fault(fleet: Fleet, name: str, kind: str, dice: random.Random, run: Run) -> None:
    service = fleet.services[name]
    if kind == "paused":
        service.signal(signal.SIGSTOP)
        time.sleep(dice.uniform(0.5, 6))
        service.signal(signal.SIGCONT)
        return
    if kind == "killed":
        if name == "gateway":
            run.gateway_killed_at.append(time.monotonic())
        service.kill()
        time.sleep(dice.uniform(0, 2))
    else:
        assert service.stop() == 0, f"{name} did not exit with 0"
    service.start()


def wait_until_ready(fleet: Fleet) -> None:
    """Waits for both models, but for PAUSE_S at most: the next fault may also strike while a model loads."""
    deadline = time.monotonic() + PAUSE_S
    while time.monotonic() < deadline:
        states = [model["state"] for name, model in fleet.models().items() if name in (SELFTEST, DIGITS)]
        if states == ["ready", "ready"]:
            return
        time.sleep(0.2)


async def inject_faults(fleet: Fleet, until_s: float, dice: random.Random, run: Run) -> None:
    while time.monotonic() < until_s:
        faults = [(name, kind) for name in fleet.services for kind in ("killed", "paused", "restarted")]
        dice.shuffle(faults)
        for name, kind in faults:
            if time.monotonic() >= until_s:
                return
            await asyncio.to_thread(inject_fault, fleet, name, kind, dice, run)
            run.faults[f"{name} {kind}"] += 1
            await asyncio.to_thread(wait_until_ready, fleet)
            await asyncio.sleep(dice.uniform(0.5, 3))


async def chaos(fleet: Fleet, seconds: float, seed: int) -> Run:
    run, until_s = Run(), time.monotonic() + seconds
    files = [send_repeatedly(fleet, request, until_s, run) for request in kinds()]
    sessions = [speak_repeatedly(fleet, speaker, until_s, random.Random(seed), run) for speaker in SPEAKERS]
    await asyncio.gather(inject_faults(fleet, until_s, random.Random(seed), run), *files, *sessions)
    return run


def table(run: Run) -> str:
    outcomes = [f"{count:6}  {kind}: {ended}" for (kind, ended), count in sorted(run.outcomes.items())]
    return "\n".join([*(f"{count:6}  {fault}" for fault, count in sorted(run.faults.items())), "", *outcomes])


def wrong(run: Run) -> list[tuple[str, str]]:
    return [each for each in run.outcomes if each[1].startswith("WRONG")]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=600)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    pythons = os.environ["RAPL_SENSEVOICE_PYTHON"], os.environ["RAPL_MLX_PYTHON"]
    with tempfile.TemporaryDirectory() as folder, running_fleet(Path(folder), *pythons, with_speakers=True) as fleet:
        run = asyncio.run(chaos(fleet, given.seconds, given.seed))
    print(table(run))
    return 1 if wrong(run) else 0


if __name__ == "__main__":
    sys.exit(main())
