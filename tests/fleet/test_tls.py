"""HTTPS with OpenAI's SDK, served by the gateway itself and by Caddy in front of it."""

import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from openai import OpenAI
from rapl_protocol.audio import WavAudio
from services import free_port, until

CADDYFILE = Path(__file__).parents[2] / "deploy" / "caddy" / "Caddyfile"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command, *names, "-out", certificate, "-keyout", key], check=True, capture_output=True)
    return certificate, key


@pytest.fixture(scope="module")
def gateway_with_tls(fleet, certificate, tmp_path_factory) -> Iterator[str]:
    """A second gateway for the fleet's engines, which serves HTTPS."""
    environ = {
        "RAPL_PREPROCESS_URL": fleet.preprocess.url,
        "RAPL_SENSEVOICE_URL": fleet.sensevoice.url,
        "RAPL_TLS_CERT": str(certificate[0]),
        "RAPL_TLS_KEY": str(certificate[1]),
    }
    port = free_port()
    log = tmp_path_factory.mktemp("tls-gateway") / "log"
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "rapl_gateway"],
            env={**os.environ, "RAPL_PORT": str(port), **environ},
            stdout=stream,
            stderr=stream,
        )
    try:
        yield live(f"https://localhost:{port}", certificate[0])
        process.terminate()
        assert process.wait(40) == 0
    finally:
        process.kill()


@pytest.fixture(scope="module")
def caddy(fleet, tmp_path_factory) -> Iterator[tuple[str, Path]]:
    """Caddy with the example's Caddyfile in front of the fleet, and the certificate of its authority."""
    if shutil.which("caddy") is None:
        pytest.skip("caddy is not installed (Debian: apt-get install caddy)")
    folder, port = tmp_path_factory.mktemp("caddy"), free_port()
    environ = {
        **os.environ,
        "RAPL_SITE": f"https://localhost:{port}",
        "RAPL_UPSTREAM": fleet.gateway.url.removeprefix("http://"),
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder),
    }
    with (folder / "log").open("ab") as log:
        command = ["caddy", "run", "--config", str(CADDYFILE), "--adapter", "caddyfile"]
        process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
    authority = folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"
    try:
        until("caddy has its authority", authority.exists)
        yield live(f"https://localhost:{port}", authority), authority
    finally:
        process.terminate()
        process.wait(20)


def live(url: str, authority: Path) -> str:
    def answers() -> bool:
        try:
            return httpx.get(f"{url}/health/live", verify=trusting(authority)).status_code == 200
        except httpx.TransportError:
            return False

    until(f"{url} is live", answers)
    return url


def trusting(authority: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority))


def client_of(url: str, authority: Path) -> OpenAI:
    http = httpx.Client(verify=trusting(authority), timeout=60)
    return OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, http_client=http)


def test_the_sdk_transcribes_over_the_gateways_own_https(gateway_with_tls, certificate, sample):
    with client_of(gateway_with_tls, certificate[0]) as client:
        text = client.audio.transcriptions.create(file=("a.wav", sample), model="rapl/selftest").text

    assert text == "3 1 4 1 5 9."


def test_plain_http_gets_no_answer_from_a_gateway_with_https(gateway_with_tls):
    with pytest.raises(httpx.TransportError):
        httpx.get(gateway_with_tls.replace("https", "http") + "/health/live")


def test_the_sdk_transcribes_through_caddy(caddy, sample):
    url, authority = caddy
    with client_of(url, authority) as client:
        text = client.audio.transcriptions.create(file=("a.wav", sample), model="rapl/selftest").text

    assert text == "3 1 4 1 5 9."


def test_caddy_passes_the_events_of_a_stream_on_one_at_a_time(caddy, sample_pcm):
    url, authority = caddy
    files = {"file": ("a.wav", WavAudio(sample_pcm * 60).to_wav())}
    data = {"model": "rapl/selftest", "stream": "true"}
    with (
        httpx.Client(verify=trusting(authority), timeout=60) as http,
        http.stream("POST", f"{url}/v1/audio/transcriptions", data=data, files=files) as answer,
    ):
        pieces = list(answer.iter_raw())

    assert b"transcript.text.delta" in pieces[0]
    assert b"transcript.text.done" not in b"".join(pieces[:3])
    assert b"transcript.text.done" in b"".join(pieces)
