"""A dictated sentence through the whole fleet, beside its engine alone: what everything around a real engine costs.

Gateway, preprocess-service, engine and the load share the cores, as they do on somebody's machine.
"""

import asyncio
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from rapl_protocol.audio import WavAudio
from rapl_protocol.frames import CONTENT_TYPE, encode_frame

from rapl_bench import recordings
from rapl_bench.fleet import Fleet
from rapl_bench.load import Call, post, put_load, transcription
from rapl_bench.processes import ServerProcess
from rapl_bench.results import Column, Measure, Row, Table
from rapl_bench.rounds import interleaved

ENGINE, RAPL = "the engine alone", "RAPL, the whole fleet"


@dataclass(frozen=True, slots=True)
class Case:
    duration_s: float
    codec: str
    """"wav", or one of `recordings.CODECS`; the engine alone gets canonical WAV in any case."""
    count: int
    """Clips in a round, one after the other."""

    @property
    def name(self) -> str:
        return f"{self.duration_s:g} s {self.codec}"


CASES = (Case(5, "wav", 8), Case(5, "m4a", 8), Case(30, "wav", 2))


async def table(fleet: Fleet, engine: ServerProcess, model: str, rounds: int) -> Table:
    """In front of an engine whose model is ready."""
    gateway = fleet.gateway(engine, fleet.preprocess())
    rows = [row for case in CASES for row in await asyncio.to_thread(_rows, case, engine, gateway, model, rounds)]
    return Table(
        name="dictation",
        title="A dictated sentence through the whole fleet, SenseVoiceSmall's real dimensions",
        columns=(Column("p50", "ms", 1), Column("above the engine", "ms", 1), Column("beside the engine", "", 3)),
        rows=tuple(rows),
        plotted="p50",
        notes=(
            "One clip at a time. The engine alone is asked by its own wire, for canonical WAV of the same audio; the "
            "fleet reads a form, decodes what is no WAV, looks for speech, and writes OpenAI's answer.",
        ),
        settings={"rounds": str(rounds)},
    )


def _rows(case: Case, engine: ServerProcess, gateway: ServerProcess, model: str, rounds: int) -> list[Row]:
    speech = recordings.speech(case.duration_s)
    audio = WavAudio(speech.tobytes())
    frame = encode_frame({"model": model}, audio.wav_header(), audio.pcm)
    media = audio.to_wav() if case.codec == "wav" else recordings.encoded(speech, case.codec)
    calls = {
        ENGINE: post(f"{engine.url}/v1/transcribe", frame, CONTENT_TYPE),
        RAPL: transcription(gateway.url, media, f"speech.{case.codec}", model),
    }
    turns: dict[str, Callable[[], float]] = {name: partial(_median_s, call, case.count) for name, call in calls.items()}
    interleaved(turns, 1)  # warm
    taken_s = interleaved(turns, rounds)
    return [Row(case.name, name, _measures(its, taken_s[ENGINE])) for name, its in taken_s.items()]


def _measures(taken_s: Sequence[float], engine_s: Sequence[float]) -> dict[str, Measure]:
    pairs = list(zip(taken_s, engine_s, strict=True))
    return {
        "p50": Measure.of([each * 1000 for each in taken_s]),
        "above the engine": Measure.of([(each - engine) * 1000 for each, engine in pairs]),
        "beside the engine": Measure.of([each / engine for each, engine in pairs]),
    }


def _median_s(call: Call, count: int) -> float:
    return statistics.median(put_load(call, at_once=1, count=count).latencies_s)
