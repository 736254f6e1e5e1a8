"""Recordings of one hour and of ten hours: total time, time to the first words, memory and completeness."""

import os
import sys
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from rapl_protocol.prepared import SpeechSegment
from rapl_protocol.transcript import TranscribeOptions
from rapl_service.calls.call import Service, open_http
from rapl_service.calls.clients import PreprocessClient, TranscriberClient

from rapl_bench.fleet import SELFTEST, SENSEVOICE_PYTHON, Fleet, set_engine_ms
from rapl_bench.groups.registry import GroupUnavailable
from rapl_bench.memory import MemoryWatch
from rapl_bench.processes import ServerProcess
from rapl_bench.recordings import Recording, hours, long_recording
from rapl_bench.reporting.results import BenchSettings, Column, Measure, Row, Table
from rapl_bench.rounds import rotated
from rapl_bench.streamed import stream, words_right
from rapl_bench.stub_engine import MODEL as STUB_MODEL

WHOLE, PARTS = "RAPL, the file through the gateway", "its parts, one after another"
ENGINE_PARALLEL = 2
"""Segments at once, as in a real engine. The gateway holds the segments that the engine computes, and a few more."""
ENGINE_MS = 20.0
"""Time per segment for the memory table. The engine is slower than the decoder, so decoded audio could accumulate."""
_LIMIT_S = 600.0
_NO_REMEDY = "It was started by the benchmark."


@dataclass(frozen=True, slots=True)
class Parts:
    """The time of each step when nothing else runs."""

    decode_s: float
    """preprocess-service with speech detection."""
    engine_s: float
    """The engine, called directly with each segment."""
    segments: int

    @property
    def took_s(self) -> float:
        return self.decode_s + self.engine_s


async def measure(settings: BenchSettings) -> Sequence[Table]:
    if not os.environ.get(SENSEVOICE_PYTHON):
        raise GroupUnavailable("the environment of sensevoice-service could not be made")
    return [await _time(settings), await _memory(settings)]


async def _time(settings: BenchSettings) -> Table:
    recording = hours(1 / 6 if settings.quick else 1, settings.cache)
    rounds = 2
    name = f"{recording.duration_s / 60:.0f} min m4a"
    print(f"rapl bench:   {name}", file=sys.stderr)
    wholes, parts = [], []
    with Fleet(settings.scratch) as fleet:
        engine, preprocess = fleet.sensevoice(), fleet.preprocess()
        gateway = fleet.gateway(engine, preprocess)
        for number in range(rounds):
            for contestant in rotated((WHOLE, PARTS), number):
                if contestant == WHOLE:
                    wholes.append(await stream(gateway.url, recording, SELFTEST))
                else:
                    parts.append(await _parts(recording, engine, preprocess))
    rows = (
        Row(name, WHOLE, {
            "wall": Measure.of([whole.took_s for whole in wholes]),
            "beside its parts": Measure.of([w.took_s / p.took_s for w, p in zip(wholes, parts, strict=True)]),
            "first words": Measure.of([whole.first_words_s for whole in wholes]),
            "words right": Measure(100 * words_right(wholes[-1].text, recording)),
            "coverage": Measure(100 * (wholes[-1].coverage or 0.0)),
        }),
        Row(name, PARTS, {"wall": Measure.of([part.took_s for part in parts])}),
    )  # fmt: skip
    return Table(
        name="long",
        title="A long recording, the self-test model",
        columns=(
            Column("wall", "s"),
            Column("beside its parts"),
            Column("first words", "s"),
            Column("words right", "%"),
            Column("coverage", "%"),
        ),
        rows=rows,
        plotted="wall",
        notes=(
            "The parts are preprocess-service alone, and then the engine, called directly with each of the segments. "
            "A ratio below 1 means that the gateway saves more time by running both at once than it adds.",
            "The first words are timed from the end of the upload. The self-test model is tiny: a real engine takes "
            "ten to a hundred times as long for the same segments; the other times do not change.",
        ),
        settings={
            "rounds": str(rounds),
            "segments": str(parts[0].segments),
            "utterances": str(recording.utterances),
            "decoding alone": f"{min(part.decode_s for part in parts):.2f} s",
            "the engine alone": f"{min(part.engine_s for part in parts):.2f} s",
        },
    )


async def _parts(recording: Recording, engine: ServerProcess, preprocess: ServerProcess) -> Parts:
    async with open_http() as http:
        transcriber = TranscriberClient(http, Service("engine", engine.url, _NO_REMEDY))
        preparer = PreprocessClient(http, Service("preprocess-service", preprocess.url, _NO_REMEDY))
        began = time.perf_counter()
        segments: list[SpeechSegment] = []
        with recording.file.open("rb") as media:
            async with aclosing(preparer.prepare(media, idle_s=_LIMIT_S)) as events:
                async for event in events:
                    if isinstance(event, SpeechSegment):
                        segments.append(event)
        decoded = time.perf_counter()
        options = TranscribeOptions(model=SELFTEST, is_long=True)
        for segment in segments:
            await transcriber.transcribe(segment.audio, options, deadline_s=_LIMIT_S)
        return Parts(decoded - began, time.perf_counter() - decoded, len(segments))


async def _memory(settings: BenchSettings) -> Table:
    recordings = {"1 min": long_recording(60, settings.cache)}
    if settings.quick:
        recordings["10 min"] = hours(1 / 6, settings.cache)
    else:
        recordings |= {"1 h": hours(1, settings.cache), "10 h": hours(10, settings.cache)}
    rows: list[Row] = []
    for length, recording in recordings.items():
        rows += await _memory_rows(f"{length} m4a", recording, settings)
    first = {row.contestant: row.measures["private"].value for row in rows if row.case == "1 min m4a"}
    for row in rows:
        row.measures["private, above 1 min"] = Measure(row.measures["private"].value - first[row.contestant])
    return Table(
        name="memory",
        title="Peak memory by the length of a recording",
        columns=(
            Column("private", "MB", 0),
            Column("private, above 1 min", "MB", 0),
            Column("with mapped files", "MB", 0),
        ),
        rows=tuple(rows),
        plotted="private",
        notes=(
            "Each recording has new processes; child processes are included. A large upload is a mapped file: its "
            "pages count until the system reclaims them.",
        ),
        settings={"engine": f"stub, {ENGINE_MS:g} ms a segment, {ENGINE_PARALLEL} at once"},
    )


async def _memory_rows(case: str, recording: Recording, settings: BenchSettings) -> list[Row]:
    print(f"rapl bench:   memory, {case}", file=sys.stderr)
    with Fleet(settings.scratch) as fleet:
        stub, preprocess = fleet.stub(ENGINE_PARALLEL), fleet.preprocess()
        gateway = fleet.gateway(stub, preprocess)
        set_engine_ms(stub, ENGINE_MS)
        with MemoryWatch(gateway.pid) as of_gateway, MemoryWatch(preprocess.pid) as of_preprocess:
            await stream(gateway.url, recording, STUB_MODEL)
        watches = {"gateway": of_gateway, "preprocess-service": of_preprocess}
        return [
            Row(case, name, {"private": Measure(watch.private_mb), "with mapped files": Measure(watch.peak_mb)})
            for name, watch in watches.items()
        ]
