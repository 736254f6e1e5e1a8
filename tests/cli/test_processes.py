"""What `rapl` starts ends with it, and it ends nothing else."""

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import httpx
import psutil
import pytest
from rapl_cli.commands.up import LOCK
from services import ROOT, free_port, until

LIMIT_S = 120
UP = ("up", "--no-download", "--no-mlx")


@pytest.fixture
def environ(tmp_path) -> dict[str, str]:
    ports = {name: str(free_port()) for name in ("RAPL_PORT", "RAPL_PREPROCESS_PORT", "RAPL_SENSEVOICE_PORT")}
    return {**os.environ, **ports, "RAPL_SENSEVOICE_MODEL_DIR": str(tmp_path)}


def rapl(environ: dict[str, str], *arguments: str, program: str = "./rapl") -> subprocess.CompletedProcess[str]:
    command = [program, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=LIMIT_S)


def descendants(process: psutil.Process) -> list[psutil.Process]:
    return process.children(recursive=True)


def have_ended(processes: list[psutil.Process]) -> bool:
    return not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in processes)


def with_default_signals() -> None:
    """The tests may run where these are ignored: under `nohup`, or in the background of a script."""
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture
def up(environ) -> Iterator[subprocess.Popen[str]]:
    """A fleet in the foreground, which is ready."""
    with subprocess.Popen(
        ["./rapl", *UP], cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True, preexec_fn=with_default_signals
    ) as process:
        assert process.stderr
        for line in process.stderr:
            if line.startswith("rapl: up at"):
                break
        yield process
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP, signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_the_services_end_with_their_supervisor_however_it_ends(up, environ, number):
    services = descendants(psutil.Process(up.pid))
    assert len(services) > 3

    up.send_signal(number)

    assert up.wait(LIMIT_S) == (-9 if number == signal.SIGKILL else 0)
    until("every service has ended", lambda: have_ended(services))
    assert LOCK.holder() is None


def test_down_ends_the_supervisor_and_waits_until_the_services_have_ended(up, environ):
    services = descendants(psutil.Process(up.pid))

    down = rapl(environ, "down")

    assert (down.returncode, down.stderr) == (0, "")
    assert have_ended(services)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{environ['RAPL_PORT']}/health")


def test_down_leaves_a_process_alone_whose_number_is_in_a_file(environ):
    (ROOT / ".rapl").mkdir(exist_ok=True)
    with subprocess.Popen(["sleep", "60"]) as stranger:
        try:
            for name in ("up.pid", "up.lock"):
                (ROOT / ".rapl" / name).write_text(str(stranger.pid))
            down = rapl(environ, "down")

            assert (down.returncode, down.stderr) == (0, "rapl: the services are not running\n")
            assert stranger.poll() is None
        finally:
            (ROOT / ".rapl" / "up.pid").unlink()
            stranger.kill()


def with_signals_of_a_background_job() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.mark.parametrize("prepare", [with_default_signals, with_signals_of_a_background_job])
def test_a_demo_that_is_stopped_leaves_no_service(environ, prepare):
    with subprocess.Popen(
        ["./rapl", "demo"], cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True, preexec_fn=prepare
    ) as demo:
        until("the services run", lambda: len(descendants(psutil.Process(demo.pid))) >= 3)
        services = descendants(psutil.Process(demo.pid))
        demo.send_signal(signal.SIGTERM)

        assert demo.wait(LIMIT_S) == 130
        assert "Traceback" not in demo.stderr.read()
    until("every service has ended", lambda: have_ended(services))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("RAPL_PREPROCESS_WORKERS", "many"),
        ("RAPL_MAX_UPLOAD_BYTES", "-1"),
        ("RAPL_SPEECH_DETECTION", "sometimes"),
        ("RAPL_SENSEVOICE_RUNTIME", "abacus"),
    ],
)
def test_a_wrong_setting_ends_up_with_2_and_one_line_that_names_it(environ, variable, value):
    ended = rapl({**environ, variable: value}, *UP)

    said = [line for line in ended.stderr.splitlines() if line.startswith("rapl: ")]
    assert ended.returncode == 2
    assert len(said) == 1
    assert re.search(rf"could not start: .*{variable}", said[0])


def test_a_wrong_setting_ends_up_in_the_background_at_once(environ):
    ended = rapl({**environ, "RAPL_PREPROCESS_WORKERS": "many"}, *UP, "--detach")

    assert ended.returncode == 1
    assert re.fullmatch(r"rapl: preprocess could not start: RAPL_PREPROCESS_WORKERS: .*up\.log\n", ended.stderr)


@pytest.mark.parametrize("variable", ["RAPL_PORT", "RAPL_PREPROCESS_PORT", "RAPL_SENSEVOICE_PORT"])
def test_a_port_in_use_is_named_with_its_program_and_the_variable(environ, variable):
    with socket.create_server(("127.0.0.1", int(environ[variable]))):
        ended = rapl(environ, *UP)

    name = psutil.Process().name()
    problem = (
        f"{name} (process {os.getpid()}) uses port {environ[variable]}; stop it, or set {variable} to another port"
    )
    assert ended.returncode == 1
    assert ended.stderr.endswith(f"cannot start: {problem}\n")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("value", ["http", "0", "65536", "-1", "8000.5"])
def test_a_port_that_is_none_is_one_line_and_help_works_all_the_same(environ, value):
    environ["RAPL_PORT"] = value

    up, usage = rapl(environ, *UP), rapl(environ, "doctor", "--help")

    assert up.returncode == 2
    assert up.stderr == f"rapl: RAPL_PORT is '{value}', but must be a port from 1 to 65535, such as 8000\n"
    assert (usage.returncode, usage.stderr) == (0, "")


def test_rapl_alone_shows_the_commands(environ):
    alone = rapl(environ)

    assert (alone.returncode, alone.stderr) == (0, "")
    assert alone.stdout == rapl(environ, "--help").stdout
    assert max(map(len, alone.stdout.splitlines())) <= 80


def test_the_version_is_that_of_the_package(environ):
    assert rapl(environ, "--version").stdout == f"rapl {version('rapl-cli')}\n"


def test_a_link_to_rapl_works(environ, tmp_path: Path):
    (tmp_path / "first").symlink_to(ROOT / "rapl")
    (tmp_path / "second").symlink_to("first")

    assert rapl(environ, "--help", program=str(tmp_path / "second")).returncode == 0
