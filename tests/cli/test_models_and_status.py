"""`rapl status`, `models`, `pull`, `load`, `unload` and `rm`, with real engines and a hub on this machine."""

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_hub import LocalHub
from rapl_command import CONTROL, in_terminal, piped
from services import DIGITS, DIGITS_FOLDER, SELFTEST, ServiceProcess
from terminal import CTRL_C

MISSING = "mlx-community/missing"
STATUS_FIELDS = {
    "url", "version", "uptime_s", "default_model", "running_requests", "stored_upload_bytes", "queued_audio_s",
    "preprocess", "speakers", "backends", "problems", "models",
}  # fmt: skip


@pytest.fixture(scope="module")
def hub() -> Iterator[LocalHub]:
    with LocalHub() as hub:
        hub.add(DIGITS, DIGITS_FOLDER)
        yield hub


@pytest.fixture(scope="module")
def environ(fleet, hub, mlx_python, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of commands for a gateway whose MLX engine downloads from the hub."""
    folder: Path = tmp_path_factory.mktemp("models")
    (folder / "no-rapl.toml").touch()  # a file that is named must exist
    settings = {"RAPL_MLX_MODELS": f"{DIGITS},{MISSING}", "RAPL_MLX_PRELOAD": "none", "HF_HOME": str(folder)}
    mlx = ServiceProcess(mlx_python, "rapl_mlx", "RAPL_MLX_PORT", folder / "mlx.log", **settings, **hub.environ)
    with mlx:
        urls = {
            "RAPL_SENSEVOICE_URL": fleet.sensevoice.url,
            "RAPL_PREPROCESS_URL": fleet.preprocess.url,
            "RAPL_MLX_URL": mlx.url,
            "RAPL_ROOT": str(folder),
        }
        with ServiceProcess(sys.executable, "rapl_gateway", "RAPL_PORT", folder / "gateway.log", **urls) as gateway:
            yield {**os.environ, "RAPL_PORT": str(gateway.port)}


@pytest.fixture
def absent(environ) -> None:
    """The model is not on the disk."""
    assert piped(environ, "rm", DIGITS).returncode == 0


@pytest.fixture
def present(environ) -> None:
    """The model is ready."""
    if state_of(environ, DIGITS)["state"] != "ready":
        assert piped(environ, "pull", DIGITS).returncode == 0


@pytest.fixture
def slow(hub) -> Iterator[None]:
    """The hub is slow enough to observe a download."""
    hub.bytes_per_s = 500_000
    yield
    hub.bytes_per_s = None


def state_of(environ: dict[str, str], model: str) -> dict:
    models = json.loads(piped(environ, "models", "--json").stdout)["models"]
    return next(each for each in models if each["id"] == model)


def test_pull_downloads_a_model_and_ends_when_it_is_ready(absent, environ):
    before = state_of(environ, DIGITS)
    ended = piped(environ, "pull", DIGITS)
    after = state_of(environ, DIGITS)

    assert (ended.returncode, ended.stdout) == (0, f"{DIGITS} is ready (1.2 MB on the disk).\n"), ended.stderr
    assert (before["state"], before["disk_bytes"]) == ("absent", 0)
    assert (after["state"], after["parallel"]) == ("ready", 1)
    assert after["disk_bytes"] > 1_000_000
    assert after["memory_bytes"] > 10_000_000


def test_unload_frees_the_memory_and_load_brings_the_model_back(present, environ):
    unloaded = piped(environ, "unload", DIGITS)
    state = state_of(environ, DIGITS)
    loaded = piped(environ, "load", DIGITS, "--json")

    assert (unloaded.returncode, unloaded.stdout) == (0, f"{DIGITS} is unloaded.\n")
    assert (state["state"], state["memory_bytes"]) == ("absent", None)
    assert state["disk_bytes"] > 1_000_000
    assert json.loads(loaded.stdout)["state"] == "ready"


def test_rm_asks_on_a_terminal(present, environ):
    def answered(key: str) -> int:
        with in_terminal(environ, "rm", DIGITS) as terminal:
            terminal.wait_for(f"Remove the weights of {DIGITS} (1.2 MB)? [y/N]")
            terminal.press(key)
            return terminal.ended()

    refused = answered("\r")
    kept = state_of(environ, DIGITS)
    confirmed = answered("y\r")
    removed = state_of(environ, DIGITS)

    assert (refused, kept["state"]) == (1, "ready")
    assert (confirmed, removed["state"], removed["disk_bytes"]) == (0, "absent", 0)


def test_pull_shows_a_bar_on_a_terminal(absent, slow, environ):
    with in_terminal(environ, "pull", DIGITS) as terminal:
        terminal.wait_for("━")

        assert terminal.ended() == 0
    assert re.search(r"━ +\d+% \d+\.\d/1\.2 MB ", CONTROL.sub("", terminal.written))
    assert terminal.lines()[-1] == f"{DIGITS} is ready (1.2 MB on the disk)."


def test_ctrl_c_during_pull_says_that_the_engine_goes_on(absent, slow, environ):
    with in_terminal(environ, "pull", DIGITS, columns=200) as terminal:
        terminal.wait_for("━")
        terminal.press(CTRL_C)

        assert terminal.ended() == 130
    assert f"mlx-service goes on without this command; `./rapl rm {DIGITS}` stops it" in terminal.text()
    assert "Traceback" not in terminal.written


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (MISSING, f"{MISSING} failed: Hugging Face has no {MISSING}"),
        ("mlx-community/unlisted", "To allow it, add it to RAPL_MLX_MODELS and restart mlx-service."),
        ("nonsense", "The model `nonsense` does not exist."),
        ("iic/SenseVoiceSmall", "docker compose up -d --force-recreate prepare-model"),
    ],
)
def test_pull_says_why_a_model_can_never_come(environ, model, message):
    ended = piped(environ, "pull", model)

    assert (ended.returncode, ended.stdout) == (1, "")
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("rapl: ")
    assert message in last


def test_load_names_pull_for_a_model_that_is_not_there(environ):
    ended = piped(environ, "load", "iic/SenseVoiceSmall")

    assert ended.returncode == 1
    assert ended.stderr.rstrip().endswith("`./rapl pull iic/SenseVoiceSmall` downloads it.")


def test_rm_yes_asks_nothing(environ):
    with in_terminal(environ, "rm", "--yes", DIGITS) as terminal:
        assert terminal.ended() == 0
    assert terminal.lines() == [f"The weights of {DIGITS} are removed."]


def test_the_model_that_ships_with_rapl_cannot_be_removed(environ):
    ended = piped(environ, "rm", SELFTEST)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == f"rapl: The model '{SELFTEST}' ships with sensevoice-service and cannot be removed.\n"


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("command", ["status", "models"])
def test_the_tables_fit_a_terminal_and_name_every_model_whole(environ, command, columns):
    with in_terminal(environ, command, columns=columns) as terminal:
        assert terminal.ended() == 0
    written = [CONTROL.sub("", line) for line in terminal.written.splitlines()]
    assert max(map(len, written)) <= columns
    for model in ("iic/SenseVoiceSmall", SELFTEST, DIGITS, MISSING):
        assert any(line.startswith(f"{model} ") for line in terminal.lines()), terminal.text()


@pytest.mark.parametrize("command", ["status", "models"])
def test_through_a_pipe_each_row_is_one_line_without_control_characters(environ, command):
    ended = piped({**environ, "FORCE_COLOR": ""}, command)

    assert ended.returncode == 0
    assert not CONTROL.search(ended.stdout)
    assert all(line == line.rstrip() and line.isprintable() for line in ended.stdout.split("\n"))
    [row] = [line for line in ended.stdout.splitlines() if line.startswith(SELFTEST)]
    assert row.split()[1:3] == ["sensevoice", "ready"]


def test_status_as_json_has_the_documented_fields(environ):
    ended = piped(environ, "status", "--json")
    found = json.loads(ended.stdout)

    assert set(found) == STATUS_FIELDS
    assert found["url"] == f"http://127.0.0.1:{environ['RAPL_PORT']}"
    assert {model["id"] for model in found["models"]} >= {SELFTEST, DIGITS}
    default_problem = found["problems"][0]  # other models may have failed before this test
    assert (default_problem["subject"], default_problem["status"]) == ("iic/SenseVoiceSmall", "failed")


def test_status_watch_is_drawn_again_until_ctrl_c(environ):
    with in_terminal(environ, "status", "--watch") as terminal:
        terminal.wait_for("requests running", times=2)
        terminal.press(CTRL_C)

        assert terminal.ended() == 0
    assert "Traceback" not in terminal.written


@pytest.mark.parametrize("command", [("status",), ("models", "--json"), ("pull", DIGITS), ("rm", DIGITS)])
def test_without_a_gateway_every_command_is_one_line_with_a_remedy(command):
    ended = piped({**os.environ, "RAPL_PORT": "9"}, *command)

    assert (ended.returncode, ended.stdout) == (1, "")
    [line] = ended.stderr.splitlines()
    assert line.startswith("rapl: the gateway at http://127.0.0.1:9 cannot be reached")
    assert "./rapl up" in line
