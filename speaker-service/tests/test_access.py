"""Who may call the service: the rules are those of mlx-service, and its tests have the details."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from rapl_speakers.app import create_app
from rapl_speakers.settings import Settings

TOKEN = "correct horse"


@pytest.fixture
def ask(tmp_path: Path):
    """Asks a service that listens on every address for its models."""

    async def models(headers: dict[str, str], token: str | None = TOKEN) -> httpx.Response:
        settings = {"host": "0.0.0.0", "allow_anyone": token is None, "allowed_hosts": "speaker-service"}
        app = create_app(Settings(model_dir=tmp_path, token=token, **settings))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://speaker-service") as http:
            return await http.get("/v1/models", headers=headers)

    return models


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}])
async def test_without_the_token_a_request_is_401_and_the_answer_names_the_setting(ask, headers):
    answer = await ask(headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
    assert "RAPL_SPEAKERS_TOKEN" in answer.json()["error"]["message"]


async def test_with_the_token_a_request_is_answered(ask):
    assert (await ask({"authorization": f"Bearer {TOKEN}"})).status_code == 200


async def test_a_name_that_is_not_ours_and_a_web_page_are_refused(ask):
    token = {"authorization": f"Bearer {TOKEN}"}

    other_name = await ask(token | {"host": "evil.example"})
    page = await ask(token | {"origin": "https://evil.example"})

    assert (other_name.status_code, page.status_code) == (403, 403)
    assert "RAPL_SPEAKERS_ALLOWED_HOSTS" in other_name.json()["error"]["message"]


async def test_in_a_network_of_the_gateway_alone_it_may_go_without_a_token(ask):
    assert (await ask({}, token=None)).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.20"])
def test_it_refuses_to_start_where_others_reach_it_without_a_token(host: str):
    command = [sys.executable, "-m", "rapl_speakers"]
    ended = subprocess.run(command, env={"RAPL_SPEAKERS_HOST": host}, capture_output=True, text=True, timeout=60)

    assert ended.returncode == 2
    assert ended.stderr.startswith("RAPL_SPEAKERS_TOKEN: ")
