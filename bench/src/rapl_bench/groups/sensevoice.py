"""SenseVoice's runtimes at the real model's dimensions.

The weights are random: nothing is downloaded, the computation takes as long as with the real weights, and the text is
noise. Each contestant is a process of its own; all get the same audio, in interleaved rounds.
"""

import os
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rapl_bench.fleet import Fleet
from rapl_bench.groups import dictation, sensevoice_concurrent
from rapl_bench.groups.registry import GroupUnavailable
from rapl_bench.processes import log_tail
from rapl_bench.reporting.results import BenchSettings, Column, Measure, Row, Table
from rapl_bench.rounds import interleaved

MODEL = "iic/SenseVoiceSmall"
PYTHON = "RAPL_BENCH_FUNASR_PYTHON"
"""sensevoice-service's interpreter, in an environment with torch and FunASR."""
COMPARED_PACKAGES = ("onnx==1.23.2", "onnxruntime==1.32.0", "sherpa-onnx==2.0.1")
FUNASR = "FunASR AutoModel"
CONTESTANTS = {
    "RAPL": "rapl-int8",
    "RAPL, float32": "rapl-f32",
    "ONNX Runtime int8": "onnxruntime",
    "sherpa-onnx int8": "sherpa",
    FUNASR: "funasr",
}
"""Name in the table: name in `sensevoice_contestant.py`."""
CASES = {
    "5 s": (5.0,),
    "30 s": (30.0,),
    "8 x 5 s": (5.0,) * 8,
    "mixed lengths, 1 to 12 s": (1.0, 12.0, 3.0, 7.0, 2.0, 9.0, 5.0, 4.0),
}
"""Lengths of the clips in seconds, one after another."""
NOT_MEASURED = {("RAPL, float32", "8 x 5 s"), ("RAPL, float32", "mixed lengths, 1 to 12 s")}
"""Contestants and cases that are left out: they take long, and float32 is not chosen for its speed."""
ROUNDS, QUICK_ROUNDS = 5, 1
_FOLDER = Path(__file__).parent
_PREPARE_LIMIT_S = 600


class ContestantError(Exception):
    """A contestant exited before it answered; the message has the end of its output."""


class Contestant:
    """A process that reads lengths, transcribes clips of these lengths, and writes how long that took."""

    def __init__(self, python: str, name: str, model: Path, packages: Path, log: Path) -> None:
        self._log = log
        command = [python, str(_FOLDER / "sensevoice_contestant.py"), name, str(model)]
        environ = os.environ | ({"PYTHONPATH": str(packages)} if name in ("onnxruntime", "sherpa") else {})
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, text=True
            )
        self.loaded_mb = self._answer()

    def __enter__(self) -> "Contestant":
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(60)

    def transcribe(self, lengths_s: Sequence[float]) -> float:
        """Returns the milliseconds for all clips together."""
        assert self._process.stdin
        print(*lengths_s, file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> float:
        assert self._process.stdout
        for line in self._process.stdout:
            if line.startswith("answer "):
                return float(line.split()[1])
        raise ContestantError(f"a contestant exited:\n{log_tail(self._log)}")


async def measure(settings: BenchSettings) -> Sequence[Table]:
    """Returns the group's tables.

    Raises:
        GroupUnavailable: the environment with FunASR is missing.
        ContestantError: a contestant exited, or the model or an export could not be made.
    """
    python = os.environ.get(PYTHON)
    if not python:
        raise GroupUnavailable("the environment with FunASR could not be made")
    model, packages = prepared(python, settings)
    rounds = QUICK_ROUNDS if settings.quick else ROUNDS
    with ExitStack() as stack:
        running = {
            title: stack.enter_context(
                Contestant(python, name, model, packages, settings.scratch / f"sensevoice-{name}.log")
            )
            for title, name in CONTESTANTS.items()
        }
        times = {case: _times(running, case, rounds) for case in CASES}
        memory = {title: contestant.loaded_mb for title, contestant in running.items()}
    with Fleet(settings.scratch) as fleet:
        service = fleet.sensevoice(_models_with(model, settings.scratch), MODEL)
        together = await sensevoice_concurrent.table(service, MODEL, rounds)
        dictated = await dictation.table(fleet, service, MODEL, rounds)
    return [_table(times, memory, rounds), together, dictated]


def _times(running: dict[str, Contestant], case: str, rounds: int) -> dict[str, list[float]]:
    turns = {
        title: lambda each=each: each.transcribe(CASES[case])
        for title, each in running.items()
        if (title, case) not in NOT_MEASURED
    }
    interleaved(turns, 1)  # warm-up: some contestants prepare something for each new length
    return interleaved(turns, rounds)


def prepared(python: str, settings: BenchSettings) -> tuple[Path, Path]:
    """The model in every contestant's format, and the folder with the compared packages; made once."""
    packages, model = settings.cache / "sensevoice-peers", settings.cache / "sensevoice-random"
    log = settings.scratch / "sensevoice-prepare.log"
    if not packages.exists():
        uv = os.environ.get("UV", "uv")
        _run([uv, "pip", "install", "--python", python, "--target", str(packages), *COMPARED_PACKAGES], log)
    _run([python, str(_FOLDER / "sensevoice_model.py"), str(model)], log, PYTHONPATH=str(packages))
    return model, packages


def _models_with(model: Path, scratch: Path) -> Path:
    models = scratch / "sensevoice-models"
    (models / MODEL).parent.mkdir(parents=True, exist_ok=True)
    (models / MODEL).unlink(missing_ok=True)
    (models / MODEL).symlink_to(model.resolve())
    return models


def _run(command: Sequence[str], log: Path, **environ: str) -> None:
    with log.open("ab") as output:
        ended = subprocess.run(
            command, env=os.environ | environ, timeout=_PREPARE_LIMIT_S, stdout=output, stderr=output
        )
    if ended.returncode:
        raise ContestantError(f"{' '.join(command[:2])} exited with {ended.returncode}:\n{log_tail(log)}")


def _table(times: dict[str, dict[str, list[float]]], memory: dict[str, float], rounds: int) -> Table:
    rows = [
        Row(case, title, {
            "time": Measure.of(taken),
            "AutoModel's time by this": Measure.of(
                [theirs / ours for theirs, ours in zip(by_contestant[FUNASR], taken, strict=True)]
            ),
            "memory": Measure(memory[title]),
        })
        for case, by_contestant in times.items()
        for title, taken in by_contestant.items()
    ]  # fmt: skip
    return Table(
        name="sensevoice",
        title="SenseVoiceSmall on the CPU, random weights at the real dimensions",
        columns=(Column("time", "ms", 0), Column("AutoModel's time by this", "", 2), Column("memory", "MB", 0)),
        rows=tuple(rows),
        plotted="AutoModel's time by this",
        headline="5 s",
        notes=(
            "The clips of a row run one after another; the time includes features and text.",
            "The ratio is the median of the ratios of the rounds. Memory is resident memory after the first clips.",
        ),
        settings={"rounds": str(rounds), "threads": str(_threads()), **_versions()},
    )


def _versions() -> dict[str, str]:
    pairs = (requirement.partition("==") for requirement in COMPARED_PACKAGES)
    return {name: version for name, _, version in pairs}


def _threads() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
