"""`rapl demo`, `up`, `down` and `doctor`, run as processes."""

import os
import re
import subprocess

import pytest
from services import ROOT, free_port

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


def test_demo_prints_the_samples_text_and_the_next_commands():
    ended = rapl("demo")

    assert ended.returncode == 0, ended.stderr
    assert re.search(r"^  3 1 4 1 5 9\.$", ended.stdout, re.MULTILINE)
    assert "./rapl up" in ended.stdout


@pytest.fixture
def environ(tmp_path) -> dict[str, str]:
    ports = {name: str(free_port()) for name in ("RAPL_PORT", "RAPL_PREPROCESS_PORT", "RAPL_SENSEVOICE_PORT")}
    return {**ports, "RAPL_SENSEVOICE_MODEL_DIR": str(tmp_path), "RAPL_DEFAULT_MODEL": "rapl/selftest"}


def test_up_starts_the_services_down_stops_them_and_doctor_checks_them(environ):
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
    assert "are up already" in twice.stderr
    assert (before.returncode, during.returncode, after.returncode) == (1, 0, 1)
    assert "transcribed three-one-four.wav as '3 1 4 1 5 9.'" in during.stdout
    assert re.search(r"^skipped +model +iic/SenseVoiceSmall: absent", during.stdout, re.MULTILINE)
    assert "./rapl up" in after.stdout


def test_an_unknown_command_prints_the_usage():
    ended = rapl("fly")

    assert ended.returncode == 2
    assert "there is no command 'fly'" in ended.stderr
