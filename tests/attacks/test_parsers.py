"""RAPL's parsers reject invalid input without any other exception: a short run of `fuzz_parsers.py`."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris", reason="Atheris has no wheels for this platform or Python", exc_type=ModuleNotFoundError)

RUNS = {"wav": 50_000, "frames": 50_000, "form": 20_000, "json": 20_000, "answer": 50_000}
LIMIT_S = 300


@pytest.mark.parametrize("parser", RUNS)
def test_fuzzed_input_is_parsed_or_rejected(parser: str, tmp_path: Path):
    program = Path(__file__).parents[1] / "fuzz_parsers.py"
    command = [sys.executable, program, parser, f"-runs={RUNS[parser]}", "-seed=1", "-timeout=10", "-rss_limit_mb=1024"]

    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT_S)

    assert ended.returncode == 0, ended.stderr[-5_000:]
    assert f"Done {RUNS[parser]} runs" in ended.stderr
