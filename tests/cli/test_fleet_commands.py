"""The `rapl` command, as a person types it."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from services import free_port

ROOT = Path(__file__).parents[2]
LIMIT_S = 900


def rapl(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["./rapl", *arguments],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )


def test_demo_prints_the_samples_words_and_what_to_try_next():
    ended = rapl("demo")

    assert ended.returncode == 0, ended.stderr
    assert re.search(r"^  3 1 4 1 5 9\.$", ended.stdout, re.MULTILINE)
    assert "./rapl up" in ended.stdout


@pytest.fixture
def environ(tmp_path) -> dict[str, str]:
    ports = {name: str(free_port()) for name in ("RAPL_PORT", "RAPL_PREPROCESS_PORT", "RAPL_SENSEVOICE_PORT")}
    return {**ports, "RAPL_SENSEVOICE_MODEL_DIR": str(tmp_path)}


def test_up_runs_the_fleet_until_down_ends_it_and_doctor_tells_what_works(environ):
    before = rapl("doctor", **environ)
    up = rapl("up", "--detach", "--no-download", "--no-mlx", **environ)
    try:
        twice = rapl("up", "--no-download", "--no-mlx", **environ)
        during = rapl("doctor", **environ)
    finally:
        down = rapl("down", **environ)
    after = rapl("doctor", **environ)

    assert (up.returncode, down.returncode) == (0, 0), up.stderr + down.stderr
    assert f"http://127.0.0.1:{environ['RAPL_PORT']}" in up.stdout
    assert twice.returncode == 1
    assert "is up already" in twice.stderr
    assert (before.returncode, during.returncode, after.returncode) == (1, 0, 1)
    assert "heard '3 1 4 1 5 9.'" in during.stdout
    assert re.search(r"FAIL  iic/SenseVoiceSmall +absent", during.stdout)
    assert "./rapl up" in after.stdout


def test_an_unknown_command_is_refused_with_the_usage():
    ended = rapl("fly")

    assert ended.returncode == 2
    assert "invalid choice" in ended.stderr
