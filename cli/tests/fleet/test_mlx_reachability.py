"""`rapl doctor` on what stands between the gateway and mlx-service."""

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from rapl_cli.fleet import mlx_reachability
from rapl_cli.fleet.mlx_reachability import NO_ANSWER, NO_SUCH_NAME, NOTHING, OTHER_NAME, OTHER_TOKEN, WELL, explain
from services import free_port


@contextmanager
def answering(status: int) -> Iterator[str]:
    """A server that answers every GET with that status: a fake mlx-service, for its refusals on demand."""

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


def probed(url: str) -> str:
    """What the program that runs in the gateway's container prints."""
    command = [sys.executable, "-c", mlx_reachability._PROBE]
    environ = {**os.environ, "RAPL_MLX_URL": url}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=True).stdout.strip()


@pytest.mark.parametrize(
    ("status", "word"), [(200, WELL), (403, OTHER_NAME), (401, OTHER_TOKEN), (404, NO_ANSWER), (500, NO_ANSWER)]
)
def test_host_and_container_find_the_same_where_something_answers(status: int, word: str):
    with answering(status) as url:
        assert mlx_reachability.probe_from_host(url) == probed(url) == word


def test_host_and_container_find_out_that_nothing_listens():
    url = f"http://127.0.0.1:{free_port()}"

    assert mlx_reachability.probe_from_host(url) == probed(url) == NOTHING


def test_the_container_finds_out_that_a_name_does_not_exist():
    assert probed("http://no-such-host.invalid:8030") == NO_SUCH_NAME


@pytest.mark.parametrize(
    ("host", "container", "system", "remedy"),
    [
        (NOTHING, None, "Darwin", "./rapl mlx install"),
        (NO_ANSWER, None, "Darwin", "./rapl mlx logs"),
        (WELL, None, "Darwin", "RAPL_MLX_URL"),
        (OTHER_TOKEN, None, "Darwin", "RAPL_MLX_TOKEN"),
        (WELL, NO_SUCH_NAME, "Linux", "docker-compose.linux.yml"),
        (WELL, NO_SUCH_NAME, "Darwin", "Update the container runtime"),
        (WELL, NOTHING, "Linux", "bridge"),
        (WELL, NOTHING, "Darwin", "RAPL_MLX_HOST=0.0.0.0"),
        (WELL, NO_ANSWER, "Darwin", "firewall"),
        (WELL, OTHER_NAME, "Darwin", "RAPL_MLX_ALLOWED_HOSTS"),
        (OTHER_TOKEN, OTHER_TOKEN, "Darwin", "RAPL_MLX_TOKEN"),
    ],
)
def test_what_is_wrong_is_told_with_the_way_to_mend_it(host: str, container: str | None, system: str, remedy: str):
    finding = explain(host, container, gateway_says="cannot be reached", system=system)

    assert not finding.is_ok
    assert remedy in finding.message


@pytest.mark.parametrize("variable", ["RAPL_MLX_TOKEN", "RAPL_MLX_ALLOWED_HOSTS"])
def test_what_the_gateway_was_refused_for_is_told_whatever_this_machine_finds(variable: str):
    finding = explain(WELL, None, gateway_says=f"mlx-service wants {variable}")

    assert not finding.is_ok
    assert variable in finding.message


@pytest.mark.parametrize(("container", "says"), [(None, None), (WELL, "cannot be reached")])
def test_a_gateway_that_reaches_it_is_well(container: str | None, says: str | None):
    assert explain(WELL, container, gateway_says=says).is_ok
