"""The handshake of /v1/realtime, client secrets, and what is not served."""

import asyncio
import time

import pytest
from rapl_gateway.security.client_secrets import MAX_SECRETS, ClientSecrets
from rapl_protocol.errors import ErrorCode, ServiceError
from realtime.client import connected, refusal
from websockets.exceptions import InvalidStatus

KEY = "sk-server"
BEARER = {"authorization": f"Bearer {KEY}"}


async def opened(fleet) -> None:
    """Opens a session as soon as the server has noticed that another one has ended."""
    async with asyncio.timeout(5):
        while True:
            try:
                async with connected(fleet) as client:
                    return await client.receive()
            except InvalidStatus:
                await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/realtime",
        "/realtime?intent=transcription",
        "/v1/v1/realtime/?intent=transcription",
        "/v1/realtime?intent=transcription&model=whisper-1",
        "/v1/realtime?model=gpt-realtime",
        "/v1/realtime?model=",
    ],
)
async def test_a_session_is_created_at_once_at_any_base_url_and_with_any_query(realtime, path):
    async with connected(realtime, path) as client:
        created = await client.receive()

    assert created["type"] == "session.created"
    assert created["session"]["object"] == "realtime.transcription_session"
    assert created["session"]["expires_at"] > time.time() + 3000


async def test_the_model_of_the_query_is_the_sessions(realtime):
    async with connected(realtime, "/v1/realtime?model=gpt-live-transcribe") as client:
        given = (await client.receive())["session"]["audio"]["input"]

    assert given["transcription"]["model"] == "gpt-live-transcribe"
    assert given["turn_detection"] is None


@pytest.mark.parametrize(
    ("offered", "selected"),
    [
        (["realtime", f"openai-insecure-api-key.{KEY}"], "realtime"),
        ([f"openai-insecure-api-key.{KEY}", "openai-beta.realtime-v1", "realtime"], "realtime"),
        ([f"openai-insecure-api-key.{KEY}", "openai-beta.realtime-v1"], "openai-beta.realtime-v1"),
        ([f"openai-insecure-api-key.{KEY}"], None),
    ],
)
async def test_a_key_in_a_subprotocol_is_accepted_and_never_selected(start_realtime, offered, selected):
    fleet = await start_realtime(api_keys=KEY)
    async with connected(fleet, subprotocols=offered) as client:
        assert client.socket.subprotocol == selected
        assert (await client.receive())["type"].endswith("session.created")


async def test_without_keys_no_key_is_needed_and_no_subprotocol_selected(realtime):
    async with connected(realtime) as client:
        assert client.socket.subprotocol is None


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"additional_headers": {"authorization": "Bearer wrong"}},
        {"subprotocols": ["realtime", "openai-insecure-api-key.wrong"]},
        {"subprotocols": ["realtime", "openai-insecure-api-key.ek_00"]},
        {"subprotocols": ["realtime"]},
    ],
)
async def test_without_a_valid_key_the_handshake_is_a_401(start_realtime, options):
    status, error = await refusal(await start_realtime(api_keys=KEY), **options)

    assert (status, error["code"]) == (401, "invalid_api_key")


async def test_a_web_page_of_another_site_and_another_host_name_are_refused(realtime):
    assert (await refusal(realtime, origin="https://evil.example"))[0] == 403
    assert (await refusal(realtime, additional_headers={"x": "y"}, origin="null"))[0] == 403


async def test_the_header_of_the_beta_chooses_the_older_form(realtime):
    async with connected(realtime, additional_headers={"openai-beta": "realtime=v1"}) as client:
        created = await client.receive()

    assert created["type"] == "transcription_session.created"
    assert created["session"]["input_audio_format"] == "pcm16"


@pytest.mark.parametrize(
    "path", ["/v1/live", "/live", "/v1/realtime/translations?model=gpt-realtime-translate", "/v1/realtime/calls"]
)
async def test_other_families_are_a_404_that_says_so_at_the_handshake_and_over_post(realtime, path):
    status, error = await refusal(realtime, path)
    posted = await realtime.http.post(path)

    assert (status, error["code"]) == (404, "not_found")
    assert "/v1/realtime?intent=transcription" in error["message"]
    assert (posted.status_code, posted.json()["error"]) == (404, error)


async def test_a_post_to_the_sessions_path_says_that_it_is_a_websocket(realtime):
    answer = await realtime.http.post("/v1/realtime", content=b"sdp")

    assert answer.status_code == 404
    assert "WebSocket" in answer.json()["error"]["message"]


async def test_a_client_secret_opens_a_session_with_its_configuration(start_realtime):
    fleet = await start_realtime(api_keys=KEY)
    body = {
        "expires_after": {"anchor": "created_at", "seconds": 60},
        "session": {"type": "transcription", "audio": {"input": {"transcription": {"language": "de"}}}},
    }
    created = await fleet.http.post("/v1/realtime/client_secrets", json=body, headers=BEARER)
    secret = created.json()

    assert secret["value"].startswith("ek_")
    assert abs(secret["expires_at"] - time.time() - 60) < 5
    assert secret["session"]["audio"]["input"]["transcription"]["language"] == "de"
    protocols = ["realtime", f"openai-insecure-api-key.{secret['value']}"]
    async with connected(fleet, "/v1/realtime?model=whisper-1", subprotocols=protocols) as client:
        session = (await client.receive())["session"]
    assert session["audio"]["input"]["transcription"] == {"model": "whisper-1", "language": "de", "prompt": ""}
    bearer = {"authorization": f"Bearer {secret['value']}"}
    async with connected(fleet, additional_headers=bearer) as client:
        assert (await client.receive())["type"] == "session.created"


async def test_a_client_secret_is_no_api_key(start_realtime):
    fleet = await start_realtime(api_keys=KEY)
    secret = (await fleet.http.post("/v1/realtime/client_secrets", headers=BEARER)).json()["value"]

    answer = await fleet.http.get("/v1/models", headers={"authorization": f"Bearer {secret}"})

    assert answer.status_code == 401


@pytest.mark.parametrize("name", ["transcription_sessions", "transcription_session", "sessions"])
async def test_the_older_routes_answer_a_flat_session_with_its_secret(realtime, name):
    body = {"input_audio_format": "pcm16", "input_audio_transcription": {"model": "gpt-4o-transcribe"}}
    answer = await realtime.http.post(f"/v1/realtime/{name}", json=body, headers={"openai-beta": "assistants=v2"})

    session = answer.json()
    assert session["client_secret"]["value"].startswith("ek_")
    assert session["client_secret"]["expires_at"] > time.time()
    assert session["input_audio_transcription"]["model"] == "gpt-4o-transcribe"
    assert session["object"] == "realtime.transcription_session"


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        (b"no json", 400, "invalid_request", None),
        (b"[]", 400, "invalid_request", None),
        (b'{"expires_after": {"seconds": 9}}', 400, "invalid_request", "expires_after.seconds"),
        (b'{"session": {"audio": 1}}', 400, "invalid_request", "session.audio"),
        (b'{"session": {"audio": {"input": {"transcription": {"model": "no/such"}}}}}', 404, "model_not_found", None),
        (b" " * 100_000, 413, "audio_too_large", None),
    ],
)
async def test_a_wrong_request_for_a_secret_is_an_error(realtime, body, status, code, param):
    answer = await realtime.http.post("/v1/realtime/client_secrets", content=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert param in (None, answer.json()["error"]["param"])


def test_a_secret_expires_and_only_so_many_are_valid_at_once():
    now = 1_000.0
    secrets = ClientSecrets(lambda: now)
    value, _ = secrets.create("client", {}, 60)
    for _ in range(MAX_SECRETS - 1):
        secrets.create("client", {}, 60)

    with pytest.raises(ServiceError) as caught:
        secrets.create("client", {}, 60)
    assert caught.value.code is ErrorCode.OVERLOADED
    assert secrets.find(value)
    now = 1_061.0
    assert secrets.find(value) is None
    assert secrets.find(secrets.create("client", {}, 60)[0])
    assert secrets.find("ek_other") is secrets.find(None) is None


async def test_further_sessions_than_the_limits_allow_are_a_429_and_one_that_ends_makes_room(start_realtime):
    fleet = await start_realtime(realtime_max_client_sessions=1)
    async with connected(fleet) as client:
        await client.receive()
        status, error = await refusal(fleet)
        assert (status, error["code"]) == (429, "overloaded")
    await opened(fleet)
    assert (await refusal(await start_realtime(realtime_max_sessions=0)))[0] == 429
