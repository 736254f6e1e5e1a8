"""`rapl doctor` names what is wrong between this client and the gateway: ports, keys, certificates, proxies, Docker."""

import re
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from doctor_command import doctor, gateway, web_server


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


def test_a_missing_or_wrong_key_is_a_problem(doctor_fleet, tmp_path):
    with gateway(tmp_path, doctor_fleet, RAPL_API_KEYS="right-key") as settings:
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


def test_proxies_are_named_by_their_variables_and_no_address_is_shown(doctor_fleet):
    proxies = {"http_proxy": "http://name:secret@127.0.0.1:9", "all_proxy": "socks5://127.0.0.1:9"}

    report = doctor({**doctor_fleet, **proxies})
    excepted = doctor({**doctor_fleet, **proxies, "no_proxy": "localhost,127.0.0.1"})

    assert (report.code, report.problems()) == (0, ["proxies"])
    assert (report["proxies"][1] or "").startswith("all_proxy, http_proxy: ")
    assert "secret" not in str(report.checks)
    assert excepted["proxies"] == ("ok", "all_proxy, http_proxy, not for this machine")


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
