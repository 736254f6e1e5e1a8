"""Every parser of ours refuses what it cannot read, and nothing else happens: a short run of `fuzz_parsers.py`."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris", reason="Atheris has no wheels for this platform or Python", exc_type=ModuleNotFoundError)

RUNS = {"wav": 50_000, "frames": 50_000, "form": 20_000, "answer": 50_000}
LIMIT_S = 300


@pytest.mark.parametrize("parser", RUNS)
def test_whatever_comes_is_read_or_refused(parser: str, tmp_path: Path):
    program = Path(__file__).with_name("fuzz_parsers.py")
    command = [sys.executable, program, parser, f"-runs={RUNS[parser]}", "-seed=1", "-timeout=10", "-rss_limit_mb=1024"]

    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT_S)

    assert ended.returncode == 0, ended.stderr[-5_000:]
    assert f"Done {RUNS[parser]} runs" in ended.stderr
