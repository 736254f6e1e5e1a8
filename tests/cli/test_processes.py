"""What `rapl` starts ends with it, and it ends nothing else."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import httpx
import psutil
import pytest
from launcher import in_background, in_foreground
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


@pytest.fixture
def up(environ) -> Iterator[subprocess.Popen[str]]:
    """A fleet in the foreground, which is ready."""
    command = in_foreground(["./rapl", *UP])
    with subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True) as process:
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

    assert (down.returncode, down.stderr) == (0, "rapl: stopped\n")
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


@pytest.mark.parametrize("launched", [in_foreground, in_background])
def test_a_demo_that_is_stopped_leaves_no_service(environ, launched):
    command = launched(["./rapl", "demo"])
    with subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True) as demo:
        until("the services run", lambda: len(descendants(psutil.Process(demo.pid))) >= 3)
        services = descendants(psutil.Process(demo.pid))
        demo.send_signal(signal.SIGTERM)

        assert demo.wait(LIMIT_S) == 130
        assert "Traceback" not in demo.stderr.read()
    until("every service has ended", lambda: have_ended(services))


WRONG = {
    "RAPL_SPEECH_DETECTION": "sometimes",
    "RAPL_API_KEYS_FILE": "no-such-file",
    "RAPL_PREPROCESS_WORKERS": "many",
    "RAPL_SENSEVOICE_RUNTIME": "abacus",
}
WRONG_LINES = """\
rapl: RAPL_SPEECH_DETECTION: 'sometimes' is neither on nor off; for example RAPL_SPEECH_DETECTION=on
rapl: RAPL_API_KEYS_FILE: 'no-such-file' cannot be read: No such file or directory; for example \
RAPL_API_KEYS_FILE=keys.txt
rapl: RAPL_PREPROCESS_WORKERS: 'many' is not a whole number; for example RAPL_PREPROCESS_WORKERS=2
rapl: RAPL_SENSEVOICE_RUNTIME: 'abacus' is not one of openvino, funasr; for example RAPL_SENSEVOICE_RUNTIME=openvino
"""


@pytest.mark.parametrize("options", [(), ("--detach",)], ids=["terminal", "background"])
def test_all_wrong_settings_are_named_before_anything_starts(environ, options):
    ended = rapl({**environ, **WRONG}, *UP, *options)

    assert ended.returncode == 2
    said = [line for line in ended.stderr.splitlines() if line.startswith("rapl: ")]
    assert sorted(said) == sorted(WRONG_LINES.splitlines())


def test_an_unknown_name_is_reported_once_with_the_nearest_one(environ):
    ended = rapl({**environ, "RAPL_PREPROCESS_WORKER": "2", "RAPL_SPEECH_DETECTION": "sometimes"}, *UP)

    assert [line for line in ended.stderr.splitlines() if "RAPL_PREPROCESS_WORKER " in line] == [
        "rapl: warning: RAPL_PREPROCESS_WORKER is not a setting of RAPL and has no effect."
        " Is it RAPL_PREPROCESS_WORKERS?"
    ]


def test_a_tls_port_in_use_is_named_with_its_variable(environ, tmp_path):
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-out", certificate, "-keyout", key], check=True, capture_output=True)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        settings = {"RAPL_TLS_CERT": str(certificate), "RAPL_TLS_KEY": str(key), "RAPL_TLS_PORT": str(port)}
        ended = rapl({**environ, **settings}, *UP)

    assert ended.returncode == 1
    assert ended.stderr.endswith(f"uses port {port}; stop it, or set RAPL_TLS_PORT to another port\n")


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
    assert up.stderr == f"rapl: RAPL_PORT: '{value}' is not a port from 1 to 65535; for example RAPL_PORT=8000\n"
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
