"""The MLX engine as a LaunchAgent: its plist, and the job that the plist describes. launchd itself is a fake here."""

import os
import plistlib
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from rapl_cli import rotating_log
from rapl_cli.commands import mlx
from rapl_cli.fleet.launch_agent import LABEL, LaunchAgent
from rapl_cli.fleet.ports import Ports
from rapl_cli.fleet.programs import Program
from services import free_port, until

ENVIRON = {"RAPL_MLX_MODELS": "a/b", "RAPL_MODEL_TTL": "60", "HF_HOME": "/models", "SECRET": "x", "RAPL_PORT": "1"}
# A fake: it writes its arguments to a file, and describes the job as macOS 15 describes one that runs.
FAKE_LAUNCHCTL = """#!/bin/sh
echo "$@" >> "$(dirname "$0")/calls"
[ "$1" = print ] && printf 'gui/501/x = {\\n\\tstate = running\\n\\n\\tpid = 4242\\n\\tlast exit code = 0\\n}\\n'
[ -e "$(dirname "$0")/fails-$1" ] && { echo "Bootstrap failed: 5" >&2; exit 5; }
exit 0
"""


@pytest.fixture
def agent(tmp_path: Path) -> LaunchAgent:
    return LaunchAgent(tmp_path / "home", 501)


@pytest.fixture
def program(mlx_python: str) -> Program:
    return Program("mlx", Path(mlx_python), ("rapl_mlx",), {"RAPL_MLX_PORT": str(free_port())})


@pytest.fixture
def launchctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the fake, and of the file `calls` with its arguments."""
    fake = tmp_path / "bin" / "launchctl"
    fake.parent.mkdir()
    fake.write_text(FAKE_LAUNCHCTL)
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    return fake.parent


def calls(launchctl: Path) -> list[str]:
    return (launchctl / "calls").read_text().splitlines()


def installed(agent: LaunchAgent, program: Program) -> dict[str, Any]:
    agent.install(program, ENVIRON)
    return plistlib.loads(agent.plist.read_bytes())


def test_the_plist_has_the_keys_that_launchd_needs(agent: LaunchAgent, program: Program, launchctl: Path):
    plist = installed(agent, program)

    assert plist["Label"] == LABEL == agent.plist.stem
    assert plist["ProcessType"] == "Interactive"
    assert plist["KeepAlive"] == {"SuccessfulExit": False}
    assert plist["RunAtLoad"] is True
    assert agent.plist == agent.home / "Library" / "LaunchAgents" / "dev.rapl.mlx.plist"


def test_every_command_and_folder_in_the_plist_exists_and_is_absolute(
    agent: LaunchAgent, program: Program, launchctl: Path
):
    plist = installed(agent, program)
    wrapper, _, module, log, python, *_ = plist["ProgramArguments"]

    for command in (wrapper, python):
        assert Path(command).is_absolute()
        assert os.access(command, os.X_OK)
    subprocess.run([wrapper, "-c", f"import {module}"], check=True, timeout=60, cwd="/")
    subprocess.run([python, "-c", "import rapl_mlx, mlx_audio"], check=True, timeout=60, cwd="/")
    for path in (plist["WorkingDirectory"], Path(log).parent, Path(plist["StandardErrorPath"]).parent):
        assert Path(path).is_absolute()
        assert Path(path).is_dir()


def test_the_plist_has_the_settings_of_engine_and_hub_only_and_is_readable_by_its_owner_only(
    agent: LaunchAgent, program: Program, launchctl: Path
):
    environ = installed(agent, program)["EnvironmentVariables"]

    kept = {"RAPL_MLX_MODELS": "a/b", "RAPL_MODEL_TTL": "60", "HF_HOME": "/models"}
    assert environ == {"PATH": environ["PATH"], **kept, **program.environ}
    assert environ["PATH"].startswith("/opt/homebrew/bin:")
    assert agent.plist.stat().st_mode & 0o777 == 0o600


def test_install_replaces_a_running_job(agent: LaunchAgent, program: Program, launchctl: Path):
    agent.install(program, ENVIRON)

    assert calls(launchctl) == [f"bootout gui/501/{LABEL}", f"bootstrap gui/501 {agent.plist}"]


def test_an_error_of_launchctl_is_printed(
    agent: LaunchAgent, launchctl: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    program: Program,
):  # fmt: skip
    (launchctl / "fails-bootstrap").touch()
    monkeypatch.setattr("rapl_cli.fleet.launch_agent._PAUSE_S", 0)
    monkeypatch.setattr("rapl_cli.fleet.programs.mlx", lambda ports: program)

    assert mlx.act("install", agent, Ports.from_environment()) == 1
    assert "Bootstrap failed: 5" in capsys.readouterr().err


def test_uninstall_stops_the_job_and_removes_the_plist(agent: LaunchAgent, program: Program, launchctl: Path):
    agent.install(program, ENVIRON)

    assert agent.uninstall()
    assert not agent.plist.exists()
    (launchctl / "fails-bootout").touch()
    assert not agent.uninstall()


def test_status_describes_the_job_and_an_engine_that_does_not_answer(
    agent: LaunchAgent, launchctl: Path, capsys: pytest.CaptureFixture[str]
):
    ports = Ports(1, 1, 1, mlx=free_port())

    assert mlx.act("status", agent, ports) == 1
    output = capsys.readouterr().out
    assert "state running, pid 4242, last exit code 0" in output
    assert "./rapl mlx logs" in output


def test_status_without_a_job_says_not_installed(
    agent: LaunchAgent, launchctl: Path, capsys: pytest.CaptureFixture[str]
):
    (launchctl / "fails-print").touch()
    mlx.act("status", agent, Ports(1, 1, 1, mlx=free_port()))

    assert "not installed" in capsys.readouterr().out


def test_logs_prints_the_end_of_the_log(agent: LaunchAgent, capfd: pytest.CaptureFixture[str]):
    assert mlx.act("logs", agent, Ports.from_environment()) == 1
    agent.log.parent.mkdir(parents=True)
    agent.log.write_text("".join(f"line {number}\n" for number in range(300)))

    assert mlx.act("logs", agent, Ports.from_environment()) == 0
    output = capfd.readouterr()
    assert "no log yet" in output.err
    assert output.out.splitlines()[0] == "line 100"


@pytest.fixture
def job(agent: LaunchAgent, program: Program, launchctl: Path):
    """The job as launchd would start it, with the plist's environment only."""
    plist = installed(agent, program)
    environ = {**plist["EnvironmentVariables"], "RAPL_MLX_PRELOAD": "none", "HOME": str(agent.home)}
    process = subprocess.Popen(plist["ProgramArguments"], env=environ, cwd=plist["WorkingDirectory"])
    yield process
    process.kill()


def test_the_job_of_the_plist_runs_the_engine_writes_its_log_and_exits_with_0(
    agent: LaunchAgent, program: Program, job: subprocess.Popen[bytes]
):
    url = f"http://127.0.0.1:{program.environ['RAPL_MLX_PORT']}/health/live"
    until("the engine is live", lambda: is_live(url))
    job.send_signal(signal.SIGTERM)

    assert job.wait(timeout=60) == 0
    assert f"listening url={url.removesuffix('/health/live')}" in agent.log.read_text()


def is_live(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False


def test_a_rotated_log_keeps_its_last_lines_within_a_bounded_size(tmp_path: Path):
    log = tmp_path / "mlx.log"
    rotating_log.copy_lines((b"line %d 100 %%\n" % number for number in range(3000)), log, max_bytes=5000)

    files = list(tmp_path.iterdir())
    assert len(files) == rotating_log.KEPT
    assert sum(file.stat().st_size for file in files) <= rotating_log.KEPT * 5000
    assert log.read_text().splitlines()[-1] == "line 2999 100 %"


@pytest.mark.parametrize(
    ("ending", "exit_code"),
    [("sys.exit(0)", 0), ("sys.exit(3)", 3), ("sys.exit(2)", 0), ("os.kill(os.getpid(), 9)", 137)],
    ids=["success", "a failure", "a wrong setting, which a restart does not correct", "killed"],
)
def test_the_exit_code_makes_launchd_restart_the_job_after_a_failure_only(tmp_path: Path, ending: str, exit_code: int):
    command = [sys.executable, "-c", f"import os, sys; print('so far'); sys.stdout.flush(); {ending}"]
    wrapper = [sys.executable, "-m", "rapl_cli.rotating_log", tmp_path / "logs" / "log"]

    assert subprocess.run([*wrapper, *command], timeout=60).returncode == exit_code
    assert (tmp_path / "logs" / "log").read_text() == "so far\n"


def test_status_on_linux_says_that_launch_agents_exist_on_macos_only(capsys: pytest.CaptureFixture[str]):
    if sys.platform == "darwin":
        pytest.skip("this is a Mac")

    assert mlx.mlx("status") == 1
    assert "macOS" in capsys.readouterr().err
