"""Measures the gateway and preprocess-service with many realtime sessions in real time. The engine is a stub.

    uv run python tests/load_realtime.py --sessions 50 --seconds 60

It fails if turns wait longer at the end than in the middle, if a session takes more than 5 MB, if 200 idle sessions
take more than 2 % of a core, or if a clip beside 20 sessions waits for more than one pass. Run it on a machine with
nothing else to do.
"""

import argparse
import asyncio
import base64
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from processes import cpu_s, family, own_memory_bytes
from rapl_protocol.audio import BYTES_PER_SECOND, WavAudio
from rapl_protocol.testing import FakeTranscriber
from rapl_protocol.transcriber import OnText
from rapl_protocol.transcript import TranscribeOptions, Transcript
from rapl_service.engine_app import transcriber_app
from rapl_service.testing import served
from services import SAMPLE, ServiceProcess, until
from websockets.asyncio.client import ClientConnection, connect

MODEL = "iic/SenseVoiceSmall"
PIECE_S, SILENCE_S = 0.1, 1.5
IDLE_SESSIONS, IDLE_S = 200, 20.0
BESIDE_CLIP, CLIPS, SLOW_PASS_S = 20, 10, 0.4
OPEN_TURN_S = 24.0
"""Shorter than a part of a turn, so that nothing but passes runs before its end."""
CLIP = "the clip"
"""The prompt by which the stub knows a clip."""
MAX_SESSION_MB, MAX_IDLE_CORE = 5.0, 0.02
SLACK_S = 0.2
"""Two medians of the same lag differ by less than this."""


class StubEngine(FakeTranscriber):
    """An engine that does one call after the other and records their order."""

    def __init__(self) -> None:
        super().__init__(MODEL, text="one two three")
        self.pass_s: float | None = None
        """How long a call takes; None: as long as SenseVoice on a processor, a hundredth of the audio."""
        self.order: list[bool] = []
        """For each call that has begun, whether it is the clip."""
        self._lock = asyncio.Lock()

    async def transcribe(
        self, audio: WavAudio, options: TranscribeOptions, on_text: OnText | None = None
    ) -> Transcript:
        async with self._lock:
            self.order.append(options.prompt == CLIP)
            self.calls.clear()
            await asyncio.sleep(audio.duration_s / 100 if self.pass_s is None else self.pass_s)
            return await super().transcribe(audio, options, on_text)


@dataclass(frozen=True)
class Loaded:
    """The services under load."""

    gateway: ServiceProcess
    preprocess: ServiceProcess
    engine: StubEngine

    def cpu_s(self) -> float:
        return sum(cpu_s(family(each.pid)) for each in (self.gateway, self.preprocess))

    def memory_mb(self) -> float:
        return sum(own_memory_bytes(family(each.pid)) for each in (self.gateway, self.preprocess)) / 1e6


@asynccontextmanager
async def running(folder: Path) -> AsyncGenerator[Loaded]:
    engine = StubEngine()
    most = str(2 * IDLE_SESSIONS)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(served(transcriber_app(engine)))
        preprocess = ServiceProcess(sys.executable, "rapl_preprocess", "RAPL_PREPROCESS_PORT", folder / "preprocess")
        gateway = ServiceProcess(
            sys.executable,
            "rapl_gateway",
            "RAPL_PORT",
            folder / "gateway",
            RAPL_PREPROCESS_URL=preprocess.url,
            RAPL_SENSEVOICE_URL=url,
            RAPL_MLX_URL=url,
            RAPL_ROOT=str(folder),
            RAPL_REALTIME_MAX_SESSIONS=most,
            RAPL_REALTIME_MAX_CLIENT_SESSIONS=most,
        )
        for service in (preprocess, gateway):
            await asyncio.to_thread(service.start)
            stack.callback(service.stop)
        await asyncio.to_thread(until, "the gateway is ready", lambda: is_ready(gateway))
        yield Loaded(gateway, preprocess, engine)


def is_ready(gateway: ServiceProcess) -> bool:
    return httpx.get(f"{gateway.url}/health/ready").status_code == 200


@asynccontextmanager
async def session(loaded: Loaded, *, is_detected: bool) -> AsyncGenerator[ClientConnection]:
    url = f"{loaded.gateway.url.replace('http', 'ws')}/v1/realtime"
    async with connect(url, proxy=None, ping_interval=None, compression=None) as socket:
        detection = {"type": "server_vad"} if is_detected else None
        given = {"format": {"type": "audio/pcm", "rate": 16_000}, "turn_detection": detection}
        await socket.send(json.dumps({"type": "session.update", "session": {"audio": {"input": given}}}))
        yield socket


async def speak(
    loaded: Loaded, seconds: float, begin_after_s: float, *, is_detected: bool = True
) -> list[tuple[float, float]]:
    """Speaks the sample again and again, in real time. If turns are not detected, all of it is one open turn.

    Returns:
        For each turn: when it ended, in seconds since the first audio, and how long after that its text came.
    """
    await asyncio.sleep(begin_after_s)
    speech = bytes(WavAudio.from_wav(SAMPLE.read_bytes()).pcm) + bytes(int(SILENCE_S * BYTES_PER_SECOND))
    ends: dict[str, float] = {}
    turns: list[tuple[float, float]] = []

    async def listen(socket: ClientConnection, began: float) -> None:
        async for message in socket:
            event = json.loads(message)
            if event["type"].endswith("speech_stopped"):
                ends[event["item_id"]] = event["audio_end_ms"] / 1000
            elif event["type"].endswith(".completed"):
                end_s = ends.pop(event["item_id"])
                turns.append((end_s, time.monotonic() - began - end_s))
            assert not event["type"].endswith((".failed", "error")), event

    async with session(loaded, is_detected=is_detected) as socket:
        began = time.monotonic()
        listening = asyncio.create_task(listen(socket, began))
        size = int(PIECE_S * BYTES_PER_SECOND)
        for n in range(int(seconds / PIECE_S)):
            at = n * size % (len(speech) - size)
            audio = base64.b64encode(speech[at : at + size]).decode()
            await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
            await asyncio.sleep(max(0.0, began + (n + 1) * PIECE_S - time.monotonic()))
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    return turns


async def speaking(loaded: Loaded, sessions: int, seconds: float) -> bool:
    """Speaks in all sessions. Returns whether there is no growing backlog, and the memory is small."""
    await speak(loaded, 10, 0)
    before_mb, before_cpu_s, began = loaded.memory_mb(), loaded.cpu_s(), time.monotonic()
    spoken = [asyncio.create_task(speak(loaded, seconds, n * 4.5 / sessions)) for n in range(sessions)]
    most_mb = before_mb
    while not all(each.done() for each in spoken):
        await asyncio.sleep(1)
        most_mb = max(most_mb, await asyncio.to_thread(loaded.memory_mb))
    cores = (loaded.cpu_s() - before_cpu_s) / (time.monotonic() - began)
    turns = [turn for each in spoken for turn in each.result()]
    middle = [lag for at, lag in turns if seconds / 3 <= at < seconds * 2 / 3]
    end = [lag for at, lag in turns if at >= seconds * 2 / 3]
    session_mb = (most_mb - before_mb) / sessions
    print(f"{sessions} sessions, {seconds:g} s, {len(turns)} turns: {cores:.2f} cores, {session_mb:.2f} MB a session")
    print(f"end of turn to text: middle third {quantiles(middle)}, last third {quantiles(end)}")
    return statistics.median(end) <= statistics.median(middle) + SLACK_S and session_mb <= MAX_SESSION_MB


def quantiles(lags: Sequence[float]) -> str:
    return f"p50 {statistics.median(lags):.2f} s, p95 {statistics.quantiles(lags, n=20)[-1]:.2f} s"


async def idle(loaded: Loaded) -> bool:
    """Returns whether sessions without audio use little processor time."""
    async with AsyncExitStack() as stack:
        for _ in range(IDLE_SESSIONS):
            await stack.enter_async_context(session(loaded, is_detected=True))
        await asyncio.sleep(5)
        before_s = loaded.cpu_s()
        await asyncio.sleep(IDLE_S)
        core = (loaded.cpu_s() - before_s) / IDLE_S
    print(f"{IDLE_SESSIONS} idle sessions: {core:.1%} of a core")
    return core < MAX_IDLE_CORE


async def clips(loaded: Loaded) -> bool:
    """Returns whether each clip was the engine's next call, but for one that began while the clip was prepared."""
    loaded.engine.pass_s = SLOW_PASS_S
    speakers = [asyncio.create_task(speak(loaded, OPEN_TURN_S, 0.1 * n, is_detected=False)) for n in range(BESIDE_CLIP)]
    await asyncio.sleep(OPEN_TURN_S / 4)
    before, began_before = loaded.engine.order.count(False), list[int]()
    async with httpx.AsyncClient(timeout=60) as http:
        for _ in range(CLIPS):
            calls = len(loaded.engine.order)
            data, files = {"model": MODEL, "prompt": CLIP}, {"file": SAMPLE.read_bytes()}
            answer = await http.post(f"{loaded.gateway.url}/v1/audio/transcriptions", data=data, files=files)
            answer.raise_for_status()
            began_before.append(loaded.engine.order.index(True, calls) - calls)
            await asyncio.sleep(SLOW_PASS_S)
    passes = loaded.engine.order.count(False) - before
    await asyncio.gather(*speakers)
    print(f"{CLIPS} clips beside {BESIDE_CLIP} open turns with {passes} passes")
    print(f"calls that began between each clip's upload and its own: {began_before}")
    return passes > CLIPS and max(began_before) <= 1


async def measure(sessions: int, seconds: float) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        async with running(Path(folder)) as loaded:
            results = [await idle(loaded), await speaking(loaded, sessions, seconds), await clips(loaded)]
    return all(results)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sessions", type=int, default=50)
    options.add_argument("--seconds", type=float, default=60)
    given = options.parse_args()
    return 0 if asyncio.run(measure(given.sessions, given.seconds)) else 1


if __name__ == "__main__":
    sys.exit(main())
