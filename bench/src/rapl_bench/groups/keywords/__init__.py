"""Keywords with SenseVoice: recall and false insertions on synthetic speech, and their cost at the real dimensions."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rapl_bench.groups.registry import GroupUnavailable
from rapl_bench.groups.sensevoice import PYTHON, ContestantError, prepared
from rapl_bench.processes import log_tail
from rapl_bench.reporting.results import BenchSettings, Column, Measure, Row, Table

MATCHER_PACKAGES = ("pypinyin==0.55.0", "rapidfuzz==3.14.6")
"""What FunASR's correction of the text needs."""
CLIPS, QUICK_CLIPS = 150, 20
ROUNDS, QUICK_ROUNDS = 15, 2
_FOLDER = Path(__file__).parent
_LIMIT_S = 900


async def measure(settings: BenchSettings) -> Sequence[Table]:
    """Returns the group's tables.

    Raises:
        GroupUnavailable: the environment with FunASR, or espeak-ng, is missing.
        ContestantError: a program exited.
    """
    python = os.environ.get(PYTHON)
    if not python:
        raise GroupUnavailable("the environment with FunASR could not be made")
    if shutil.which("espeak-ng") is None:
        raise GroupUnavailable("espeak-ng is missing")
    packages = settings.cache / "keyword-matchers"
    log = settings.scratch / "keywords.log"
    if not packages.exists():
        uv = os.environ.get("UV", "uv")
        _output([uv, "pip", "install", "--python", python, "--target", str(packages), *MATCHER_PACKAGES], log)
    clips, rounds = (QUICK_CLIPS, QUICK_ROUNDS) if settings.quick else (CLIPS, ROUNDS)
    found = _output([python, str(_FOLDER / "recall.py"), str(clips)], log, PYTHONPATH=str(packages))
    model, _ = prepared(python, settings)
    cost = _output([python, str(_FOLDER / "cost.py"), str(model), str(rounds)], log)
    return [_recall_table(json.loads(found), clips), _cost_table(json.loads(cost), rounds)]


def _output(command: Sequence[str], log: Path, **environ: str) -> str:
    """Returns the last line that the program writes."""
    with log.open("ab") as errors:
        ended = subprocess.run(
            command, env=os.environ | environ, timeout=_LIMIT_S, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    if ended.returncode:
        raise ContestantError(f"{' '.join(command[:2])} exited with {ended.returncode}:\n{log_tail(log)}")
    return ended.stdout.splitlines()[-1] if ended.stdout else ""


def _recall_table(found: Sequence[dict[str, Any]], clips: int) -> Table:
    rows = [
        Row(f"{each['length']} {each['list']}", each["contestant"], {
            "recall": Measure(each["recall"]),
            "inserted": Measure(each["inserted"]),
            "wrong words": Measure(each["errors"]),
            "wrong with": Measure(each["errors with"]),
        })
        for each in found
    ]  # fmt: skip
    return Table(
        name="keywords",
        title="Keywords that are spoken, among others that no clip has; synthetic voices, the self-test model",
        columns=(
            Column("recall", "%", 1),
            Column("inserted", "in 100 clips", 2),
            Column("wrong words", "%", 2),
            Column("wrong with", "%", 2),
        ),
        rows=tuple(rows),
        plotted="recall",
        notes=(
            "Recall and `wrong with` are of clips with a phrase; `inserted` and `wrong words` of clips without one.",
            "`inserted`: phrases of the list that were written and not said. The model knows 34 words of English.",
            "FunASR's correction compares the sounds of Chinese. It replaces nearly all English words, so it is not in "
            "those rows.",
        ),
        settings={"clips": f"for each list {clips} with a phrase and {clips} without"},
    )


def _cost_table(cost: dict[str, dict[str, Any]], rounds: int) -> Table:
    plain = cost["taken_ms"]["0"]
    rows = [
        Row(f"{length} phrases", "RAPL", {
            "time": Measure.of(taken),
            "ratio": Measure.of([with_them / without for with_them, without in zip(taken, plain, strict=True)]),
            "once": Measure(cost["build_ms"][length]),
        })
        for length, taken in cost["taken_ms"].items()
    ]  # fmt: skip
    return Table(
        name="keywords-cost",
        title="5 s with keywords, SenseVoiceSmall on the CPU, random weights at the real dimensions",
        columns=(Column("time", "ms", 0), Column("ratio", "", 2), Column("once", "ms", 0)),
        rows=tuple(rows),
        plotted="ratio",
        headline="100 phrases",
        notes=("`ratio` is to no phrases, in the same round. `once`: to make the graph of a new list.",),
        settings={"rounds": str(rounds)},
    )
