"""Who may call the real service."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from mlx_service_process import RunningService, StartService

TOKEN = "correct horse"
BEARER = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def service(start_service: StartService) -> Iterator[RunningService]:
    """Without a token, and with no model to load."""
    with start_service(PRELOAD="none", ALLOWED_HOSTS="mac.example, other.example") as service:
        yield service


@pytest.fixture(scope="module")
def guarded(start_service: StartService) -> Iterator[RunningService]:
    """It listens on every address, with a token."""
    with start_service(PRELOAD="none", HOST="0.0.0.0", TOKEN=TOKEN) as service:
        yield service


def models(service: RunningService, **headers: str) -> httpx.Response:
    return httpx.get(f"{service.url}/v1/models", headers=headers)


def error_of(answer: httpx.Response) -> dict[str, Any]:
    return answer.json()["error"]


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8030", "127.0.0.1:8030", "[::1]:8030", "192.168.1.20", "host.docker.internal:8030",
     "mac.example", "other.example:80"],
)  # fmt: skip
def test_addresses_and_names_of_this_machine_are_answered(service: RunningService, host: str):
    assert models(service, host=host).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8030", "", "[::1"])
def test_a_name_that_is_not_ours_is_refused_and_the_answer_says_how_to_allow_it(service: RunningService, host: str):
    answer = models(service, host=host)

    assert answer.status_code == 403
    assert "RAPL_MLX_ALLOWED_HOSTS" in error_of(answer)["message"]
    assert answer.headers["x-request-id"]


def metrics(service: RunningService, **headers: str) -> int:
    return httpx.get(f"{service.url}/metrics", headers=headers).status_code


def test_metrics_are_for_this_machine_and_for_clients_with_the_token(service: RunningService, guarded: RunningService):
    remote = {"x-forwarded-for": "203.0.113.9"}

    assert metrics(service) == metrics(guarded) == 200
    assert metrics(service, **remote) == 403
    assert metrics(guarded, **remote) == 401
    assert metrics(guarded, **remote, **BEARER) == 200
    assert metrics(guarded, origin="https://evil.example", **BEARER) == 403


def test_a_web_page_is_refused_whatever_it_sends(service: RunningService):
    answer = httpx.post(
        f"{service.url}/v1/transcribe", headers={"origin": "https://evil.example"}, content=b"x" * 3_000_000
    )

    assert answer.status_code == 403
    assert "Web pages" in error_of(answer)["message"]
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN}, {"authorization": f"Basic {TOKEN}"}]
)
def test_without_the_token_a_request_is_401_and_the_answer_names_the_setting(
    guarded: RunningService, headers: dict[str, str]
):
    answer = models(guarded, **headers)

    assert (answer.status_code, error_of(answer)["code"]) == (401, "invalid_api_key")
    assert "RAPL_MLX_TOKEN" in error_of(answer)["message"]


def test_with_the_token_a_request_is_answered(guarded: RunningService):
    assert models(guarded, **BEARER).status_code == 200


def test_whether_it_is_live_is_no_secret_and_whether_it_is_ready_is(guarded: RunningService):
    assert httpx.get(f"{guarded.url}/health/live").status_code == 200
    assert httpx.get(f"{guarded.url}/health/ready").status_code == 401


def test_the_token_is_in_no_log(guarded: RunningService):
    models(guarded, **BEARER)

    assert TOKEN not in guarded.log_path.read_text()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.20", "mac.local"])
def test_it_refuses_to_start_where_others_reach_it_without_a_token(host: str):
    command = [sys.executable, "-m", "rapl_mlx"]
    ended = subprocess.run(command, env={"RAPL_MLX_HOST": host}, capture_output=True, text=True, timeout=60)

    assert ended.returncode == 2
    assert ended.stderr.startswith("RAPL_MLX_TOKEN: ")
