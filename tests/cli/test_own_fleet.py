"""The commands reach the fleet of this machine, whatever keys, certificates and proxies are set."""

import os
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
from services import ROOT, SAMPLE, free_port

LIMIT_S = 120
NO_PROXY_THERE = "127.0.0.1:9"


def rapl(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["./rapl", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=LIMIT_S)


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for another machine's name, and its key."""
    cert, key = folder / f"{name}-cert.pem", folder / f"{name}-key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}.lan"]
    subprocess.run([*command, "-out", cert, "-keyout", key], check=True, capture_output=True)
    return cert, key


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("own-fleet")


@pytest.fixture(scope="module")
def environ(folder) -> dict[str, str]:
    """A fleet with keys and TLS, on a machine with three kinds of proxies."""
    cert, key = certificate(folder, "server")
    ports = {name: str(free_port()) for name in ("RAPL_PORT", "RAPL_PREPROCESS_PORT", "RAPL_SENSEVOICE_PORT")}
    proxies = {
        "http_proxy": f"http://{NO_PROXY_THERE}",
        "HTTPS_PROXY": f"http://{NO_PROXY_THERE}",
        "all_proxy": f"socks5://{NO_PROXY_THERE}",
    }
    return {
        **os.environ,
        **ports,
        **proxies,
        "RAPL_SENSEVOICE_MODEL_DIR": str(folder),
        "RAPL_DEFAULT_MODEL": "rapl/selftest",
        "RAPL_API_KEYS": " ,first-key,second-key",
        "RAPL_TLS_CERT": str(cert),
        "RAPL_TLS_KEY": str(key),
    }


@pytest.fixture(scope="module")
def up(environ) -> Iterator[subprocess.CompletedProcess[str]]:
    yield rapl(environ, "up", "--detach", "--no-download", "--no-mlx")
    rapl(environ, "down")


def test_up_doctor_and_transcribe_work_with_keys_tls_and_proxies(up, environ):
    doctor = rapl(environ, "doctor")
    transcribe = rapl(environ, "transcribe", "--stdout", "--model", "rapl/selftest", str(SAMPLE))

    assert up.returncode == 0, up.stderr
    assert f"rapl: up at https://127.0.0.1:{environ['RAPL_PORT']};" in up.stdout
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    assert transcribe.stdout == "3 1 4 1 5 9.\n", transcribe.stderr


@pytest.mark.parametrize("arguments", [("doctor",), ("transcribe", str(SAMPLE), "--stdout")], ids=lambda a: a[0])
def test_a_certificate_that_is_not_the_servers_is_named(up, environ, folder, arguments):
    other, _ = certificate(folder, "other")

    ended = rapl({**environ, "RAPL_TLS_CERT": str(other)}, *arguments)

    assert ended.returncode == 1
    text = ended.stdout + ended.stderr
    assert re.search(r"not (the one in )?RAPL_TLS_CERT: self-signed certificate", text)
    assert "Traceback" not in ended.stderr


def test_a_wrong_key_is_named(up, environ):
    ended = rapl({**environ, "RAPL_API_KEY": "third-key"}, "transcribe", str(SAMPLE), "--stdout")

    assert ended.returncode == 1
    assert "API key" in ended.stderr
    assert "third-key" not in ended.stderr


def test_beside_https_the_commands_use_plain_http(environ, folder):
    ports = {name: str(free_port()) for name in ("RAPL_PORT", "RAPL_PREPROCESS_PORT", "RAPL_SENSEVOICE_PORT")}
    # Another machine's certificate, which the commands do not need to trust.
    both = {**environ, **ports, "RAPL_TLS_PORT": str(free_port())}
    other = {**both, "RAPL_TLS_CERT": str(certificate(folder, "unused")[0])}
    rapl(environ, "down")

    try:
        up = rapl(both, "up", "--detach", "--no-download", "--no-mlx")
        transcribe = rapl(other, "transcribe", "--stdout", "--model", "rapl/selftest", str(SAMPLE))
        page = httpx.get(f"https://127.0.0.1:{both['RAPL_TLS_PORT']}/health/live", verify=False, trust_env=False)
    finally:
        rapl(both, "down")

    assert f"rapl: up at http://127.0.0.1:{ports['RAPL_PORT']};" in up.stdout, up.stderr
    assert transcribe.stdout == "3 1 4 1 5 9.\n", transcribe.stderr
    assert page.status_code == 200


class _WebPage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>hello</html>")

    def log_message(self, format: str, *_: object) -> None:
        pass


@pytest.fixture
def web_server() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), _WebPage)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_another_program_at_the_gateways_port_is_named_as_such(web_server):
    ended = rapl({**os.environ, "RAPL_PORT": str(web_server)}, "doctor")

    assert ended.returncode == 1
    assert f"the program at http://127.0.0.1:{web_server} is not a RAPL gateway. Set RAPL_PORT" in ended.stdout


def test_a_program_that_accepts_connections_and_says_nothing_is_not_waited_for_without_end():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        ended = rapl({**os.environ, "RAPL_PORT": str(port)}, "doctor")

    assert ended.returncode == 1
    assert f"http://127.0.0.1:{port}: it does not answer" in ended.stdout
