"""`rapl logs`, and `rapl pull` of SenseVoice, with the services that `rapl up --detach` started."""

import os
from collections.abc import Iterator

import httpx
import pytest
from local_hub import LocalHub
from rapl_command import in_terminal, piped
from services import ROOT, free_port
from terminal import CTRL_C

SENSEVOICE = "iic/SenseVoiceSmall"
SELFTEST_FOLDER = ROOT / "sensevoice-service" / "src" / "rapl_sensevoice" / "selftest_model"


@pytest.fixture(scope="module")
def hub() -> Iterator[LocalHub]:
    with LocalHub() as hub:
        hub.add(SENSEVOICE, SELFTEST_FOLDER)
        yield hub


@pytest.fixture(scope="module")
def environ(hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    ports = {name: str(free_port()) for name in ("RAPL_PORT", "RAPL_PREPROCESS_PORT", "RAPL_SENSEVOICE_PORT")}
    folder = str(tmp_path_factory.mktemp("weights"))
    environ = {**os.environ, **ports, **hub.environ, "RAPL_SENSEVOICE_MODEL_DIR": folder}
    up = piped(environ, "up", "--detach", "--no-download", "--no-mlx")
    assert up.returncode == 0, up.stderr
    yield environ
    piped(environ, "down")


def test_logs_prints_the_last_lines_of_one_service(environ):
    ended = piped(environ, "logs", "sensevoice", "--lines", "2")

    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("sensevoice |") for line in lines)


def test_logs_follow_prints_new_lines_until_ctrl_c(environ):
    with in_terminal(environ, "logs", "gateway", "--lines", "1", "--follow") as terminal:
        terminal.wait_for("gateway")
        httpx.get(f"http://127.0.0.1:{environ['RAPL_PORT']}/v1/nothing", headers={"x-request-id": "followed"})
        terminal.wait_for("request_id=followed")
        terminal.press(CTRL_C)

        assert terminal.ended() == 0
    assert "Traceback" not in terminal.written


def test_pull_of_sensevoice_runs_prepare_model(environ):
    pulled = piped(environ, "pull", SENSEVOICE)
    removed = piped(environ, "rm", SENSEVOICE)

    assert pulled.returncode == 0, pulled.stderr
    assert f"{SENSEVOICE}: loading" in pulled.stderr
    assert pulled.stdout.startswith(f"{SENSEVOICE} is ready (")
    assert removed.returncode == 0, removed.stderr
    assert not (ROOT / environ["RAPL_SENSEVOICE_MODEL_DIR"] / SENSEVOICE).exists()
