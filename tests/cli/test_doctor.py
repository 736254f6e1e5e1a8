"""`rapl doctor` names each broken link from the client to the engines, with a remedy that exists on this system."""

import http.server
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from rapl_service.calls.remedies import without_docker
from services import ROOT, ServiceProcess, free_port, until
from small_disk import free_bytes, small_disk
from terminal import run_in_terminal

LIMIT_S = 60
COMMAND = [sys.executable, "-m", "rapl_cli", "doctor"]


@dataclass(frozen=True)
class Report:
    code: int
    checks: list[dict[str, str | None]]

    def __getitem__(self, name: str) -> tuple[str | None, str | None]:
        """The status and the message of the only check with this name."""
        [check] = [check for check in self.checks if check["name"] == name]
        return check["status"], check["message"]

    def remedy(self, name: str) -> str | None:
        [check] = [check for check in self.checks if check["name"] == name]
        return check["remedy"]

    def problems(self) -> list[str | None]:
        return [check["name"] for check in self.checks if check["status"] in ("warning", "failed")]


def doctor(environ: Mapping[str, str], *arguments: str) -> Report:
    command = [*COMMAND, "--json", *arguments]
    ended = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=LIMIT_S)
    assert ended.stderr == ""
    report = Report(ended.returncode, json.loads(ended.stdout))
    for check in report.checks:
        assert (check["remedy"] is not None) == (check["status"] in ("warning", "failed")), check
        assert commands_that_do_not_exist(check["remedy"] or "", environ) == []
    return report


def commands_that_do_not_exist(text: str, environ: Mapping[str, str]) -> list[str]:
    """The commands between backquotes that cannot be run here."""
    missing = []
    for command in re.findall("`([^`]+)`", text):
        program, *arguments = command.split()
        if program == "./rapl":
            shown = subprocess.run([*COMMAND[:-1], *arguments, "--help"], capture_output=True, timeout=LIMIT_S)
            missing += [command] if shown.returncode else []
        elif program != "key_env" and not shutil.which(program, path=environ.get("PATH")):
            missing.append(command)
    return missing


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("doctor")


@pytest.fixture(scope="module")
def alone(folder) -> dict[str, str]:
    """An environment without Docker and without any service."""
    names = ("RAPL_PORT", "RAPL_PREPROCESS_PORT", "RAPL_SENSEVOICE_PORT", "RAPL_MLX_PORT")
    (folder / "bin").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {
        **kept,
        **{name: str(free_port()) for name in names},
        "PATH": str(folder / "bin"),
        "RAPL_SENSEVOICE_MODEL_DIR": str(folder / "models"),
        "RAPL_CONFIG": str(folder / "no-rapl.toml"),
        "RAPL_DEFAULT_MODEL": "rapl/selftest",
    }


class Process(ServiceProcess):
    """A service at the port that the environment names."""

    def __init__(self, python: str, name: str, folder: Path, environ: Mapping[str, str]) -> None:
        variable = "RAPL_PORT" if name == "gateway" else f"RAPL_{name.upper()}_PORT"
        super().__init__(python, f"rapl_{name}", variable, folder / f"{name}.log", **environ)
        self.port = int(environ[variable])
        self.url = f"{'https' if environ.get('RAPL_TLS_CERT') else 'http'}://127.0.0.1:{self.port}"

    def _is_live(self) -> bool:
        return _answers(f"{self.url}/health/live")


@contextmanager
def gateway(folder: Path, environ: Mapping[str, str], **more: str) -> Iterator[dict[str, str]]:
    """A gateway at another port than the module's; gives the environment in which `doctor` finds it."""
    settings = {**environ, "RAPL_PORT": str(free_port()), **more}
    with Process(sys.executable, "gateway", folder, settings):
        yield settings


@pytest.fixture(scope="module")
def fleet(alone, folder, sensevoice_python) -> Iterator[dict[str, str]]:
    """The environment of running services."""
    urls = {
        "RAPL_PREPROCESS_URL": f"http://127.0.0.1:{alone['RAPL_PREPROCESS_PORT']}",
        "RAPL_SENSEVOICE_URL": f"http://127.0.0.1:{alone['RAPL_SENSEVOICE_PORT']}",
    }
    with (
        Process(sys.executable, "preprocess", folder, alone),
        Process(sensevoice_python, "sensevoice", folder, alone),
        Process(sys.executable, "gateway", folder, {**alone, **urls}) as gateway,
    ):
        until("the self-test model is ready", lambda: _answers(f"{gateway.url}/health/ready"))
        yield {**alone, **urls}


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, verify=False).status_code == 200
    except httpx.TransportError:
        return False


def test_a_fleet_whose_default_model_answers_has_no_problem(fleet):
    report = doctor(fleet)

    assert (report.code, report.problems()) == (0, [])
    assert report["self-test"] == ("ok", "transcribed three-one-four.wav as '3 1 4 1 5 9.'")
    assert report["API key"] == ("ok", "not needed")
    assert report["docker"][0] == report["certificate"][0] == "skipped"
    if sys.platform == "linux":
        assert report["mlx-service"] == ("skipped", "not running; it is for Macs with Apple silicon")


@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_shows_a_table_that_fits(fleet, columns):
    ended = run_in_terminal(COMMAND, columns, folder=ROOT, environ=fleet)

    lines = ended.screen.splitlines()
    assert ended.code == 0
    assert lines[-1] == "The default model can be used."
    assert all(re.match(r"(ok|skipped) +\S|  +\S", line) for line in lines[:-2])
    assert any(re.fullmatch(r"ok +gateway +answers at http://127\.0\.0\.1:\d+", line) for line in lines)


def test_without_a_gateway_the_remedy_is_the_command_that_exists(alone):
    report = doctor(alone)

    url = f"http://127.0.0.1:{alone['RAPL_PORT']}"
    assert (report.code, report.problems()) == (1, ["gateway"])
    assert report["gateway"] == ("failed", f"{url}: nothing listens there")
    assert report.remedy("gateway") == "Start it with `./rapl up`."
    assert report[f"port {alone['RAPL_PORT']}"] == ("ok", "free, for gateway")


class _WebPage(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>hello</html>")

    def log_message(self, format: str, *_: object) -> None:
        pass


@contextmanager
def web_server() -> Iterator[http.server.ThreadingHTTPServer]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _WebPage) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_a_web_server_at_the_port_is_named_with_the_variable_that_moves_the_gateway(alone):
    with web_server() as server:
        report = doctor({**alone, "RAPL_PORT": str(server.server_port)})

    name = f"port {server.server_port}"
    assert report.problems() == [name, "gateway"]
    assert re.fullmatch(r"used by \S.* \(process \d+\), so gateway cannot start", report[name][1] or "")
    assert report.remedy(name) == "Stop it, or set RAPL_PORT to another port."
    assert (report["gateway"][1] or "").endswith("is not a RAPL gateway")


def test_a_listener_that_says_nothing_is_named_and_not_waited_for_without_end(alone):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        report = doctor({**alone, "RAPL_PORT": str(port)})

    assert report.problems() == [f"port {port}", "gateway"]
    assert report["gateway"] == ("failed", f"http://127.0.0.1:{port}: it does not answer")


def test_a_missing_or_wrong_key_is_a_problem(fleet, tmp_path):
    with gateway(tmp_path, fleet, RAPL_API_KEYS="right-key") as settings:
        missing = doctor({**settings, "RAPL_API_KEYS": ""})
        wrong = doctor({**settings, "RAPL_API_KEY": "wrong-key"})
        right = doctor(settings)

    assert (missing.code, missing.problems(), missing["API key"]) == (
        1,
        ["API key"],
        ("failed", "needed, but none is set here"),
    )
    assert wrong["API key"] == ("failed", "the gateway does not accept the one that is sent")
    assert "wrong-key" not in str(wrong.checks)
    assert (right.code, right["API key"]) == (0, ("ok", "needed, and the one that is sent is accepted"))


OPENSSL_CA = """
[ca]
default_ca = own
[own]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
[any]
commonName = supplied
[names]
subjectAltName = DNS:server.lan
"""


def certificate(folder: Path, ends: str) -> dict[str, str]:
    """The settings of a self-signed certificate for server.lan that is valid until `ends`, as YYYYMMDD."""
    (folder / "ca.cnf").write_text(OPENSSL_CA)
    (folder / "index").touch()
    request = "req -newkey rsa:2048 -nodes -subj /CN=server.lan -keyout key.pem -out request.pem"
    sign = "ca -batch -selfsign -create_serial -config ca.cnf -extensions names -keyfile key.pem -in request.pem"
    dates = f"-startdate 20200101000000Z -enddate {ends}000000Z -notext -out cert.pem"
    for arguments in (request, f"{sign} {dates}"):
        subprocess.run(["openssl", *arguments.split()], cwd=folder, check=True, capture_output=True)
    return {"RAPL_TLS_CERT": str(folder / "cert.pem"), "RAPL_TLS_KEY": str(folder / "key.pem")}


def in_days(days: int) -> str:
    return f"{datetime.now(UTC) + timedelta(days):%Y%m%d}"


@contextmanager
def tls_server(files: Mapping[str, str]) -> Iterator[int]:
    """A web server with a certificate, which stands for the gateway as far as TLS goes; gives its port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files["RAPL_TLS_CERT"], files["RAPL_TLS_KEY"])
    with web_server() as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        yield server.server_port


def day(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:]}"


@pytest.mark.parametrize(
    ("ends", "status", "message"),
    [
        (in_days(100), "ok", f"for server.lan, valid until {day(in_days(100))}"),
        (in_days(5), "warning", f"for server.lan, valid until {day(in_days(5))}"),
        ("20210101", "failed", "for server.lan, expired on 2021-01-01"),
    ],
    ids=["valid", "ends soon", "expired"],
)
def test_a_certificate_has_its_names_and_its_last_day(alone, tmp_path, ends, status, message):
    own = certificate(tmp_path, ends)
    with tls_server(own) as port:
        report = doctor({**alone, **own, "RAPL_PORT": str(port)})

    assert report["certificate"] == (status, message)


def test_another_certificate_than_the_gateways_is_named(alone, tmp_path):
    (tmp_path / "other").mkdir()
    with tls_server(certificate(tmp_path, in_days(100))) as port:
        report = doctor({**alone, **certificate(tmp_path / "other", in_days(100)), "RAPL_PORT": str(port)})

    assert report["certificate"][0] == "failed"
    assert (report["certificate"][1] or "").startswith("it is not the one in RAPL_TLS_CERT: ")


def test_a_certificate_for_another_name_than_the_one_that_is_called_is_named(alone, tmp_path):
    """127.0.0.1 in decimal is an address that `rapl` does not take for this machine's."""
    own = certificate(tmp_path, in_days(100))
    with tls_server(own) as port:
        url = f"https://2130706433:{port}"
        trusting = doctor({**alone, "SSL_CERT_FILE": own["RAPL_TLS_CERT"]}, "--url", url)
        untrusting = doctor(alone, "--url", url)

    assert trusting["certificate"][0] == "failed"
    assert (trusting["certificate"][1] or "").endswith(", but not for 2130706433")
    assert untrusting["certificate"] == ("failed", "not trusted: self-signed certificate")
    assert trusting["ports"] == ("skipped", "the gateway is on another machine")


def test_proxies_are_named_by_their_variables_and_no_address_is_shown(fleet):
    proxies = {"http_proxy": "http://name:secret@127.0.0.1:9", "all_proxy": "socks5://127.0.0.1:9"}

    report = doctor({**fleet, **proxies})
    excepted = doctor({**fleet, **proxies, "no_proxy": "localhost,127.0.0.1"})

    assert (report.code, report.problems()) == (0, ["proxies"])
    assert (report["proxies"][1] or "").startswith("all_proxy, http_proxy: ")
    assert "secret" not in str(report.checks)
    assert excepted["proxies"] == ("ok", "all_proxy, http_proxy, not for this machine")


def test_an_engine_that_is_down_is_named_with_the_sentence_of_the_api(fleet, tmp_path):
    url = f"http://127.0.0.1:{free_port()}"
    with gateway(tmp_path, fleet, RAPL_SENSEVOICE_URL=url) as settings:
        report = doctor(settings)
        models = httpx.get(f"http://127.0.0.1:{settings['RAPL_PORT']}/v1/models").json()["data"]

    [model] = [model for model in models if model["id"] == "rapl/selftest"]
    assert (report.code, report.problems()) == (1, ["sensevoice-service", "default model"])
    assert report["sensevoice-service"] == ("failed", model["reason"])
    assert report.remedy("default model") == without_docker(model["remedy"])


@pytest.fixture
def damaged_model(folder) -> Iterator[None]:
    """SenseVoiceSmall's files after one of them was cut off."""
    model = folder / "models" / "iic" / "SenseVoiceSmall"
    model.mkdir(parents=True)
    graph = {"name": "sensevoice-int8.bin", "size": 1000, "sha256": "0" * 64}
    manifest = {"files": [graph], "format": 3, "source_sha256": "0" * 64, "engine": "2026"}
    (model / "sensevoice-int8.json").write_text(json.dumps(manifest))
    (model / "sensevoice-int8.bin").write_bytes(bytes(10))
    yield
    shutil.rmtree(model)


def test_a_model_that_failed_is_a_failure_only_if_it_is_the_default_and_each_replica_has_a_line(
    fleet, tmp_path, damaged_model
):
    def is_failed() -> bool:
        models = httpx.get(f"{fleet['RAPL_SENSEVOICE_URL']}/v1/models").json()["models"]
        return any(model["state"] == "failed" for model in models)

    until("sensevoice-service has seen the file", is_failed)
    absent = f"http://127.0.0.1:{free_port()}"
    replicas = f"{fleet['RAPL_SENSEVOICE_URL']},{absent}"
    as_other = doctor(fleet)
    more = {"RAPL_DEFAULT_MODEL": "iic/SenseVoiceSmall", "RAPL_SENSEVOICE_URL": replicas}
    with gateway(tmp_path, fleet, **more) as settings:
        as_default = doctor(settings)

    message = "iic/SenseVoiceSmall: failed (sensevoice-int8.bin is missing or cut off in "
    lines = [(check["status"], check["message"]) for check in as_default.checks if check["name"] == "replica"]
    assert as_other.code == 0
    assert [check for check in as_other.checks if (check["message"] or "").startswith(message)]
    assert as_default.code == 1
    assert (as_default["default model"][1] or "").startswith(message)
    assert lines == [
        ("ok", f"sensevoice-service at {fleet['RAPL_SENSEVOICE_URL']} answers"),
        ("warning", f"sensevoice-service at {absent} cannot be reached"),
    ]


def test_a_full_disk_is_named_with_the_sentence_of_the_api(fleet, tmp_path):
    with small_disk(tmp_path, 8 << 20) as disk:
        (disk / "filler").write_bytes(bytes(free_bytes(disk)))
        report = doctor({**fleet, "TMPDIR": str(disk)})

    text = f"0.0 GB free for temporary files in {disk}: uploads over 1 MB are refused"
    assert (report.code, report.problems()) == (1, ["disk: temporary"])
    assert report["disk: temporary"] == ("failed", text)
    assert "TMPDIR" in (report.remedy("disk: temporary") or "")


@pytest.mark.parametrize(
    ("script", "status", "message"),
    [
        ("echo 2.31.0", "ok", "version 2.31.0"),
        ("echo v2.3.3", "warning", "version v2.3.3 is too old; only `docker compose up` needs it"),
        ("echo no such command; exit 1", "warning", "not installed; only `docker compose up` needs it"),
    ],
)
def test_the_version_of_compose_is_checked(alone, tmp_path, script, status, message):
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\n[ "$1" = compose ] || exit 1\n{script}\n')
    docker.chmod(0o755)

    report = doctor({**alone, "PATH": f"{tmp_path}:/usr/bin:/bin"})

    assert report["compose"] == (status, message)
    assert report["docker"] == (
        "warning",
        "installed, but its engine does not answer; only `docker compose up` needs it",
    )
