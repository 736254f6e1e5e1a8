"""HTTPS with OpenAI's SDK, served by the gateway itself and by Caddy in front of it."""

import os
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from openai import OpenAI
from rapl_protocol.audio import WavAudio
from services import ServiceProcess, free_port, until
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

CADDYFILE = Path(__file__).parents[2] / "deploy" / "caddy" / "Caddyfile"
REQUEST_ID = "seen-on-both-ports"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    return make_certificate(folder / "cert.pem", folder / "key.pem")


def make_certificate(certificate: Path, key: Path) -> tuple[Path, Path]:
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


def two_ports(fleet, certificate, folder: Path) -> ServiceProcess:
    """A gateway for the fleet's engines that serves HTTP and, on RAPL_TLS_PORT, HTTPS."""
    environ = {
        "RAPL_PREPROCESS_URL": fleet.preprocess.url,
        "RAPL_SENSEVOICE_URL": fleet.sensevoice.url,
        "RAPL_TLS_CERT": str(certificate[0]),
        "RAPL_TLS_KEY": str(certificate[1]),
        "RAPL_TLS_PORT": str(free_port()),
        "RAPL_DRAIN_S": "120",  # longer than the long stream takes, also on a busy machine
    }
    return ServiceProcess(sys.executable, "rapl_gateway", "RAPL_PORT", folder / "log", **environ)


def urls_of(gateway: ServiceProcess) -> dict[str, str]:
    return {"http": gateway.url, "https": f"https://localhost:{gateway.environ['RAPL_TLS_PORT']}"}


@pytest.fixture(scope="module")
def gateway_with_two_ports(fleet, certificate, tmp_path_factory) -> Iterator[dict[str, str]]:
    """The URL by scheme."""
    with two_ports(fleet, certificate, tmp_path_factory.mktemp("two-ports")) as gateway:
        yield urls_of(gateway)


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


@contextmanager
def long_stream(http: httpx.Client, url: str, sample_pcm: bytes) -> Iterator[httpx.Response]:
    files = {"file": ("a.wav", WavAudio(sample_pcm * 300).to_wav())}
    form = {"model": "rapl/selftest", "stream": "true"}
    headers = {"x-request-id": REQUEST_ID}
    with http.stream("POST", f"{url}/v1/audio/transcriptions", data=form, files=files, headers=headers) as answer:
        yield answer


def test_the_sdk_transcribes_over_the_gateways_own_https(gateway_with_tls, certificate, sample):
    with client_of(gateway_with_tls, certificate[0]) as client:
        text = client.audio.transcriptions.create(file=("a.wav", sample), model="rapl/selftest").text

    assert text == "3 1 4 1 5 9."


def test_plain_http_gets_no_answer_from_a_gateway_with_https(gateway_with_tls):
    with pytest.raises(httpx.TransportError):
        httpx.get(gateway_with_tls.replace("https", "http") + "/health/live")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_with_a_tls_port_the_sdk_transcribes_over_http_and_over_https(
    gateway_with_two_ports, certificate, sample, scheme
):
    with client_of(gateway_with_two_ports[scheme], certificate[0]) as client:
        text = client.audio.transcriptions.create(file=("a.wav", sample), model="rapl/selftest").text

    assert text == "3 1 4 1 5 9."


def test_a_job_that_came_in_over_http_is_seen_over_https(fleet, gateway_with_two_ports, certificate, sample):
    http = httpx.Client(verify=trusting(certificate[0]), timeout=60)
    upload = {"files": {"file": ("a.wav", sample)}, "data": {"model": "rapl/selftest"}}
    progress = f"{gateway_with_two_ports['https']}/v1/progress/{REQUEST_ID}"
    with http, ThreadPoolExecutor() as pool:
        with held(fleet.sensevoice):
            job = pool.submit(
                http.post,
                f"{gateway_with_two_ports['http']}/v1/audio/transcriptions",
                headers={"x-request-id": REQUEST_ID},
                **upload,
            )
            until("the job is seen", lambda: http.get(progress).status_code == 200, 20)

        assert job.result().json()["text"] == "3 1 4 1 5 9."
        assert http.get(progress).status_code == 404


@contextmanager
def held(service: ServiceProcess) -> Iterator[None]:
    """Stops the process meanwhile, so that what it works on cannot end."""
    service.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        service.signal(signal.SIGCONT)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_websocket_handshake_is_answered_on_both_ports(gateway_with_two_ports, certificate, scheme):
    """The gateway has no path for WebSockets at this address, which is the answer."""
    url = gateway_with_two_ports[scheme].replace("http", "ws") + "/nowhere"
    tls = trusting(certificate[0]) if scheme == "https" else None

    with pytest.raises(InvalidStatus) as caught, connect(url, ssl=tls, proxy=None):
        pass
    assert caught.value.response.status_code == 404


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_request_in_work_on_either_port_is_finished_when_the_gateway_stops(
    fleet, certificate, tmp_path, sample_pcm, scheme
):
    with (
        two_ports(fleet, certificate, tmp_path) as gateway,
        httpx.Client(verify=trusting(certificate[0]), timeout=60) as http,
        long_stream(http, urls_of(gateway)[scheme], sample_pcm) as answer,
    ):
        pieces = answer.iter_raw()
        next(pieces)
        gateway.signal(signal.SIGTERM)
        rest = b"".join(pieces)

        assert b"transcript.text.done" in rest
        assert gateway.stop() == 0
        for url in urls_of(gateway).values():
            with pytest.raises(httpx.ConnectError):
                http.get(url)


def test_a_renewed_certificate_is_used_without_a_restart(fleet, certificate, tmp_path):
    files = tuple(tmp_path / source.name for source in certificate)
    for source, copy in zip(certificate, files, strict=True):
        shutil.copyfile(source, copy)
    with two_ports(fleet, files, tmp_path) as gateway:
        make_certificate(*files)
        address = ("localhost", int(gateway.environ["RAPL_TLS_PORT"]))
        until("the new certificate is used", lambda: ssl.get_server_certificate(address) == files[0].read_text())


def test_the_sdk_transcribes_through_caddy(caddy, sample):
    url, authority = caddy
    with client_of(url, authority) as client:
        text = client.audio.transcriptions.create(file=("a.wav", sample), model="rapl/selftest").text

    assert text == "3 1 4 1 5 9."


def test_caddy_passes_the_events_of_a_stream_on_one_at_a_time(caddy, sample_pcm):
    url, authority = caddy
    with (
        httpx.Client(verify=trusting(authority), timeout=60) as http,
        long_stream(http, url, sample_pcm) as answer,
    ):
        pieces = list(answer.iter_raw())

    assert b"transcript.text.delta" in pieces[0]
    assert b"transcript.text.done" not in b"".join(pieces[:3])
    assert b"transcript.text.done" in b"".join(pieces)
