"""`rapl doctor` explains why the gateway cannot reach mlx-service."""

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from rapl_cli.fleet import mlx_reachability
from rapl_cli.fleet.mlx_reachability import Probe, explain
from services import free_port


@contextmanager
def answering(status: int) -> Iterator[str]:
    """A fake mlx-service that answers every GET with `status`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def probe_from_container(url: str) -> str:
    """The output of the program that runs in the gateway's container."""
    command = [sys.executable, "-c", mlx_reachability._PROBE_PROGRAM]
    environ = {**os.environ, "RAPL_MLX_URL": url}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=True).stdout.strip()


@pytest.mark.parametrize(
    ("status", "probe"),
    [
        (200, Probe.OK),
        (403, Probe.HOST_REFUSED),
        (401, Probe.TOKEN_REFUSED),
        (404, Probe.NO_ANSWER),
        (500, Probe.NO_ANSWER),
    ],
)
def test_host_and_container_get_the_same_result_from_an_answer(status: int, probe: Probe):
    with answering(status) as url:
        assert mlx_reachability.probe_from_host(url) == probe_from_container(url) == probe


def test_host_and_container_notice_that_nothing_listens():
    url = f"http://127.0.0.1:{free_port()}"

    assert mlx_reachability.probe_from_host(url) == probe_from_container(url) == Probe.NOT_LISTENING


def test_the_container_notices_an_unknown_host_name():
    assert probe_from_container("http://no-such-host.invalid:8030") == Probe.UNKNOWN_HOST


@pytest.mark.parametrize(
    ("host", "container", "system", "fix"),
    [
        (Probe.NOT_LISTENING, None, "Darwin", "./rapl mlx install"),
        (Probe.NO_ANSWER, None, "Darwin", "./rapl mlx logs"),
        (Probe.OK, None, "Darwin", "RAPL_MLX_URL"),
        (Probe.TOKEN_REFUSED, None, "Darwin", "RAPL_MLX_TOKEN"),
        (Probe.OK, Probe.UNKNOWN_HOST, "Linux", "docker-compose.linux.yml"),
        (Probe.OK, Probe.UNKNOWN_HOST, "Darwin", "Update the container runtime"),
        (Probe.OK, Probe.NOT_LISTENING, "Linux", "bridge"),
        (Probe.OK, Probe.NOT_LISTENING, "Darwin", "RAPL_MLX_HOST=0.0.0.0"),
        (Probe.OK, Probe.NO_ANSWER, "Darwin", "firewall"),
        (Probe.OK, Probe.HOST_REFUSED, "Darwin", "RAPL_MLX_ALLOWED_HOSTS"),
        (Probe.TOKEN_REFUSED, Probe.TOKEN_REFUSED, "Darwin", "RAPL_MLX_TOKEN"),
    ],
)
def test_the_message_names_the_fix(host: Probe, container: Probe | None, system: str, fix: str):
    finding = explain(host, container, gateway_error="cannot be reached", system=system)

    assert not finding.is_ok
    assert fix in finding.message


@pytest.mark.parametrize("host", list(Probe))
def test_on_linux_no_message_names_a_command_that_only_a_mac_has(host: Probe):
    finding = explain(host, None, gateway_error="cannot be reached", system="Linux")

    assert "./rapl mlx install" not in finding.message
    assert "./rapl mlx logs" not in finding.message


@pytest.mark.parametrize("variable", ["RAPL_MLX_TOKEN", "RAPL_MLX_ALLOWED_HOSTS"])
def test_the_message_names_the_variable_that_the_gateways_error_names(variable: str):
    finding = explain(Probe.OK, None, gateway_error=f"mlx-service requires {variable}")

    assert not finding.is_ok
    assert variable in finding.message


@pytest.mark.parametrize(("container", "gateway_error"), [(None, None), (Probe.OK, "cannot be reached")])
def test_a_gateway_that_reaches_mlx_service_is_ok(container: Probe | None, gateway_error: str | None):
    assert explain(Probe.OK, container, gateway_error=gateway_error).is_ok
