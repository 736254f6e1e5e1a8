"""speaker-service on conversations whose truth is known: error rates, the number of people, time and memory."""

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import psutil
from rapl_protocol.audio import BYTES_PER_SECOND, WavAudio
from rapl_protocol.speakers import Diarization, DiarizationOptions, RecordedSpeech, encode_diarization_event

from rapl_bench.groups.registry import GroupUnavailable
from rapl_bench.groups.speakers.excerpts import excerpts
from rapl_bench.groups.speakers.mixtures import Conversation, Person, Samples, Turns, conversation
from rapl_bench.groups.speakers.people import noises, people_of
from rapl_bench.groups.speakers.scores import COLLARS_S, Score, confusion, error_rate, interval, score, within_one
from rapl_bench.processes import ServerProcess, free_port
from rapl_bench.real.packages import PackageUnavailable, RealPackages
from rapl_bench.real.recordings import RealRecordings
from rapl_bench.real.speaker_weights import speaker_weights
from rapl_bench.reporting.results import BenchSettings, Column, Measure, Row, Table

SPEAKERS_PYTHON, REAL_PYTHON = "RAPL_BENCH_SPEAKERS_PYTHON", "RAPL_BENCH_REAL_PYTHON"
RAPL = "RAPL"
CONVERSATIONS, QUICK_CONVERSATIONS = 30, 4
DURATION_S = 300.0
MOST_PEOPLE = 8
_PART_S = 30
_LIMIT_S = 1800.0


@dataclass(frozen=True, slots=True)
class Answer:
    turns: Turns
    took_s: float
    cpu_s: float
    """CPU time of the service."""


async def measure(settings: BenchSettings) -> Sequence[Table]:
    """Returns the group's tables.

    Raises:
        GroupUnavailable: an environment, a package or the weights are missing.
    """
    return await asyncio.to_thread(_tables, settings)


def _tables(settings: BenchSettings) -> list[Table]:
    python, real_python = os.environ.get(SPEAKERS_PYTHON), os.environ.get(REAL_PYTHON)
    if not python or not real_python:
        raise GroupUnavailable("the environments of speaker-service and of the recordings could not be made")
    try:
        packages = RealPackages(real_python, settings.cache / "real")
        models = speaker_weights(packages)
        made = _conversations(RealRecordings(packages), settings.quick)
    except PackageUnavailable as error:
        raise GroupUnavailable(str(error)) from error
    with _service(python, models, settings) as server:
        cases = {
            # The thresholds were chosen on the even conversations. The odd ones were never looked at for that.
            "mixtures for tuning": made[::2],
            "mixtures for the test": made[1::2],
            "excerpts of meetings and calls": excerpts(),
        }
        rows = [_row(case, server, conversations) for case, conversations in cases.items() if conversations]
    return [_table(tuple(rows), len(made))]


def _conversations(recordings: RealRecordings, is_quick: bool) -> list[Conversation]:
    people, noise = people_of(recordings), noises(recordings)
    return list(_made(people, noise, QUICK_CONVERSATIONS if is_quick else CONVERSATIONS))


def _made(people: Sequence[Person], noise: Sequence[Samples], number: int) -> Iterator[Conversation]:
    for seed in range(number):
        random = np.random.default_rng(1000 + seed)
        count = int(random.integers(2, min(MOST_PEOPLE, len(people)) + 1))
        chosen = [people[index] for index in random.permutation(len(people))[:count]]
        yield conversation(chosen, noise[seed % len(noise)], DURATION_S, seed)


def _service(python: str, models: Path, settings: BenchSettings) -> ServerProcess:
    port = free_port()
    environ = {
        "RAPL_SPEAKERS_PORT": str(port),
        "RAPL_SPEAKERS_THREADS": "2",
        "RAPL_SPEAKERS_MODEL_DIR": str(models),
    }
    command = [python, "-m", "rapl_speakers"]
    return ServerProcess(command, port, settings.scratch / "speakers.log", environ, live_path="/health/ready")


def _row(case: str, server: ServerProcess, conversations: Sequence[Conversation]) -> Row:
    answers = [_diarized(server, each) for each in conversations]
    by_collar: list[list[Score]] = [
        [score(each.turns, answer.turns, each.duration_s, collar_s)
         for each, answer in zip(conversations, answers, strict=True)]
        for collar_s in COLLARS_S
    ]  # fmt: skip
    exact, lenient = by_collar
    audio_s = sum(each.duration_s for each in conversations)
    low, high = interval(exact)
    memory = psutil.Process(server.pid).memory_info().rss
    return Row(case, RAPL, {
        "DER": Measure(100 * error_rate(exact), 100 * low, 100 * high),
        "DER, collar 0.25 s": Measure(100 * error_rate(lenient)),
        "confusion": Measure(100 * confusion(exact)),
        "number of people within one": Measure(100 * within_one(exact)),
        "CPU time of an audio second": Measure(sum(each.cpu_s for each in answers) / audio_s),
        "time of an audio second": Measure(sum(each.took_s for each in answers) / audio_s),
        "memory": Measure(memory / 1e6),
    })  # fmt: skip


def _diarized(server: ServerProcess, recording: Conversation) -> Answer:
    before, began = _cpu_s(server.pid), time.perf_counter()
    answer = httpx.post(f"{server.url}/v1/diarizations", content=_body(recording.pcm()), timeout=_LIMIT_S)
    answer.raise_for_status()
    found = Diarization.model_validate_json(answer.content)
    turns = tuple((turn.start_s, turn.end_s, str(turn.speaker)) for turn in found.turns)
    return Answer(turns, time.perf_counter() - began, _cpu_s(server.pid) - before)


def _body(pcm: bytes) -> Iterator[bytes]:
    step = _PART_S * BYTES_PER_SECOND
    yield from map(bytes, encode_diarization_event(DiarizationOptions()))
    for start in range(0, len(pcm), step):
        part = RecordedSpeech(start / BYTES_PER_SECOND, WavAudio(pcm[start : start + step]))
        yield from map(bytes, encode_diarization_event(part))


def _cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def _table(rows: tuple[Row, ...], number: int) -> Table:
    return Table(
        "speakers",
        "Who speaks when",
        (
            Column("DER", "%", 1), Column("DER, collar 0.25 s", "%", 1), Column("confusion", "%", 1),
            Column("number of people within one", "%", 0), Column("CPU time of an audio second", "s", 4),
            Column("time of an audio second", "s", 4), Column("memory", "MB", 0),
        ),
        rows,
        plotted="DER",
        notes=(
            "DER is the diarization error rate, pooled, with overlaps. Its range is a 95 % interval over recordings.",
            "All audio is sent, without speech detection before it.",
        ),
        settings={"mixtures": f"{number} of {DURATION_S:g} s, 2 to {MOST_PEOPLE} people, 12 to 25 dB above noise"},
    )  # fmt: skip
