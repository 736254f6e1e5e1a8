"""Simulates how long the text of a turn takes after its commit, beside a whole upload in the same moment.

    RAPL_REAL_PYTHON=.rapl/real/bin/python uv run python tests/simulate_turns.py

The gateway's code runs, with people's recordings of 5 s and more. The clock is simulated, so other work on the machine
changes nothing. ENGINES says how long an engine takes. The texts are those of Whisper tiny.en, one for each 0.8 s of a
recording, and the engine is always sure of them. The environment `.rapl/real` is made by `./rapl test -m real`.
"""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from types import SimpleNamespace
from typing import Any

from rapl_bench.groups.realtime.engine import SENSEVOICE_BASE_S, SENSEVOICE_SECONDS_PER_S
from rapl_bench.groups.realtime.speaking import room_noise, until_last_sound
from rapl_bench.real.models import TINY_EN, real_models
from rapl_bench.real.packages import RealPackages
from rapl_bench.real.recordings import RealRecordings, to_wav
from rapl_gateway.backends.backend import Backend, Backends
from rapl_gateway.backends.catalog import BackendSpec, Route
from rapl_gateway.backends.fallback import LoadReservation, Target
from rapl_gateway.backends.load import Throughput
from rapl_gateway.realtime.turn_text import TextDelta, TurnText, TurnTexts
from rapl_gateway.settings import Settings
from rapl_gateway.timing import Stopwatch
from rapl_gateway.transcription.pipeline import Job, Pipeline
from rapl_protocol.audio import BYTES_PER_SECOND, WavAudio
from rapl_protocol.models import Capabilities, ModelInfo, ModelState
from rapl_protocol.prepared import PrepareOptions
from rapl_protocol.transcript import Decoding, Segment, TranscribeOptions
from simulated_engine import Clip, SimulatedEngine, SimulatedLoop, Speed

sys.path.append(str(Path(__file__).parent / "real"))

from ctranslate2_engine import CTranslate2Engine
from real_fleet import CACHE

LEAST_S = 5.0
FIRST_TEXT_S, TEXT_EACH_S = 0.9, 0.8
PIECE_BYTES = BYTES_PER_SECOND // 10
PAUSES_S = (0.0, 0.1, 0.2, 0.3, 0.5)
"""Seconds from the last sound to the commit."""
CLIP_TOKENS = 15
"""Tokens of about 5 s of speech."""


def decoder(clip_s: float, encoder: int, *, has_drafts: bool) -> Speed:
    """An engine that takes `clip_s` seconds for CLIP_TOKENS; its encoder takes as long as so many tokens."""
    token_s = clip_s / (encoder + CLIP_TOKENS + 1)
    return Speed(encoder * token_s, token_s=token_s, has_drafts=has_drafts)


ENGINES = {"SenseVoice": Speed(SENSEVOICE_BASE_S, SENSEVOICE_SECONDS_PER_S)} | {
    f"encoder of {encoder} tokens, {clip_s:.2f} s for a clip, {'with' if has_drafts else 'without'} drafts": decoder(
        clip_s, encoder, has_drafts=has_drafts
    )
    for clip_s in (0.12, 0.4)
    for encoder in (40, 10)
    for has_drafts in (False, True)
}
MODEL = "m"
OPTIONS = TranscribeOptions(model=MODEL, language="en")


async def clips() -> list[Clip]:
    """The English recordings of LEAST_S and more, with their texts."""
    packages = RealPackages(os.environ["RAPL_REAL_PYTHON"], CACHE)
    engine = CTranslate2Engine(packages.python, {TINY_EN: real_models(packages)[TINY_EN].ctranslate2})
    spoken = [each.pcm() for each in RealRecordings(packages).clips() if each.language == "en"]
    try:
        return [await _clip(engine, pcm) for pcm in spoken if 2 * len(pcm) >= LEAST_S * BYTES_PER_SECOND]
    finally:
        engine.close()


async def _clip(engine: CTranslate2Engine, samples: Any) -> Clip:
    step, whole = int(TEXT_EACH_S * BYTES_PER_SECOND), 2 * len(samples)
    sizes = [*range(int(FIRST_TEXT_S * BYTES_PER_SECOND), whole, step), whole]
    texts = {}
    for size in sizes:
        answer = await engine.transcribe(to_wav(samples[: size // 2]), TINY_EN, "en", words=False)
        texts[size] = tuple(_segment(raw) for raw in json.loads(answer)["segments"])
    return Clip(until_last_sound(samples.astype("<i2").tobytes()), texts)


def _segment(raw: dict[str, Any]) -> Segment:
    decoding = Decoding(tokens=raw["decoding"]["tokens"], avg_logprob=-0.2)
    end_s = max(raw["start_s"], raw["end_s"])
    return Segment(start_s=raw["start_s"], end_s=end_s, text=raw["text"], language="en", decoding=decoding)


@dataclass(frozen=True, slots=True)
class Spoken:
    """One turn."""

    after_commit_s: float
    upload_s: float
    sent: int
    """Characters that were sent before the commit."""
    characters: int


class Simulation:
    """A gateway with one simulated engine, for one clip. Create it in a SimulatedLoop."""

    def __init__(self, clip: Clip, speed: Speed, settings: Settings) -> None:
        spec = BackendSpec("engine", ("http://engine",), "")
        backend = Backend("engine", spec, lambda service: SimulatedEngine(service, clip, speed), settings)
        backend.scheduler.throughput = Throughput(asyncio.get_running_loop().time)
        can = Capabilities(drafts=speed.has_drafts)
        backend.replicas[0].models = [ModelInfo(id=MODEL, state=ModelState.READY, capabilities=can)]
        self._route = Route(MODEL, MODEL, "engine")
        self._targets = [Target(self._route, backend.scheduler)]
        preprocess: Any = SimpleNamespace(speech=print)  # is never called
        self._pipeline = Pipeline(preprocess, settings)
        self._texts = TurnTexts(_OneBackend(backend, self._targets), self._pipeline, settings)

    async def upload(self, pcm: bytes) -> float:
        """Returns how many seconds it takes."""
        began = asyncio.get_running_loop().time()
        job = Job(
            media=WavAudio(pcm).to_wav(),
            prepare=PrepareOptions(speech_detection="off"),
            options=OPTIONS,
            reservation=LoadReservation(self._targets, "client", 0.0, Stopwatch()),
            request_id="upload",
            stopwatch=Stopwatch(),
        )
        async with aclosing(self._pipeline.texts(job)) as texts:
            async for _ in texts:
                pass
        return asyncio.get_running_loop().time() - began

    async def speak(self, pcm: bytes, upload_s: float) -> Spoken:
        """Speaks one turn in real time, and commits it with the last piece of its audio."""
        loop = asyncio.get_running_loop()
        turn = self._texts.begin(OPTIONS, self._route, "client", request_id="turn", is_detected=True)
        sent: list[tuple[float, str]] = []
        listening = asyncio.create_task(_listen(turn, sent))
        began = loop.time()
        for at in range(0, len(pcm), PIECE_BYTES):
            piece = pcm[at : at + PIECE_BYTES]
            await asyncio.sleep(began + (at + len(piece)) / BYTES_PER_SECOND - loop.time())
            turn.append(piece)
        committed = loop.time()
        turn.commit()
        await listening
        after_s = loop.time() - committed
        await turn.close()
        before = sum(len(text) for at_s, text in sent if at_s < committed)
        return Spoken(after_s, upload_s, before, sum(len(text) for _, text in sent))


class _OneBackend(Backends):
    def __init__(self, backend: Backend, targets: list[Target]) -> None:
        self._by_name = {backend.name: backend}
        self._targets = targets

    def targets(self, route: Route) -> list[Target]:
        return self._targets


async def _listen(turn: TurnText, sent: list[tuple[float, str]]) -> None:
    async with aclosing(turn.events()) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                sent.append((asyncio.get_running_loop().time(), event.text))


def simulated(clip: Clip, pause_s: float, speed: Speed, settings: Settings) -> Spoken:
    """A turn that is committed `pause_s` seconds after its last sound, and an upload of the same audio."""

    async def spoken() -> Spoken:
        simulation, pcm = Simulation(clip, speed, settings), clip.pcm + room_noise(clip.pcm, pause_s)
        return await simulation.speak(pcm, await simulation.upload(pcm))

    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(spoken())


def row(pause_s: float, turns: Sequence[Spoken]) -> str:
    waits, uploads = [1000 * each.after_commit_s for each in turns], [1000 * each.upload_s for each in turns]
    sent = sum(each.sent for each in turns) / sum(each.characters for each in turns)
    after, upload = (f"{median(each):.0f} ({mean(each):.0f}) ms" for each in (waits, uploads))
    return f"| {pause_s:.1f} s | {after} | {upload} | {median(waits) / median(uploads):.2f} | {sent:.0%} |"


def main() -> None:
    heard = asyncio.run(clips())
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "rapl.toml"
        config.touch()
        settings = Settings(speech_detection="off", config=config)
        for name, speed in ENGINES.items():
            print(f"\n{name}\n\n| commit after the last sound | text | upload | ratio | sent before |")
            print("|---|---|---|---|---|")
            for pause_s in PAUSES_S:
                print(row(pause_s, [simulated(clip, pause_s, speed, settings) for clip in heard]), flush=True)


if __name__ == "__main__":
    main()
