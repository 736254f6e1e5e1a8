"""Client secrets of several gateways that share a key."""

import pytest
from rapl_gateway.security.client_secrets import MAX_SHARED_CHARACTERS, SharedClientSecrets
from rapl_protocol.errors import ErrorCode, ServiceError
from realtime.client import connected, refusal

KEY = "sk-of-the-team"
BEARER = {"authorization": f"Bearer {KEY}"}
SHARED = "a key of thirty-two characters, or more"
SESSION = {"type": "transcription", "audio": {"input": {"transcription": {"language": "de", "prompt": "Quantenöl"}}}}


async def test_a_secret_of_one_gateway_opens_a_session_at_another(start_realtime):
    one, other = [await start_realtime(api_keys=KEY, realtime_secrets_key=SHARED) for _ in range(2)]
    created = await one.http.post("/v1/realtime/client_secrets", json={"session": SESSION}, headers=BEARER)
    value = created.json()["value"]

    async with connected(other, subprotocols=["realtime", f"openai-insecure-api-key.{value}"]) as client:
        session = (await client.receive())["session"]

    assert session["audio"]["input"]["transcription"]["language"] == "de"


async def test_a_gateway_with_another_key_does_not_accept_it(start_realtime):
    one = await start_realtime(api_keys=KEY, realtime_secrets_key=SHARED)
    other = await start_realtime(api_keys=KEY, realtime_secrets_key=SHARED[::-1])
    value = (await one.http.post("/v1/realtime/client_secrets", headers=BEARER)).json()["value"]

    status, error = await refusal(other, additional_headers={"authorization": f"Bearer {value}"})

    assert (status, error["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize("keys", [{"api_keys": "sk-of-others"}, {}])
async def test_a_secret_of_a_key_that_a_gateway_does_not_have_is_refused_there(start_realtime, keys):
    one = await start_realtime(realtime_secrets_key=SHARED, **keys)
    other = await start_realtime(api_keys=KEY, realtime_secrets_key=SHARED)
    headers = {"authorization": f"Bearer {keys['api_keys']}"} if keys else {}
    value = (await one.http.post("/v1/realtime/client_secrets", headers=headers)).json()["value"]

    status, error = await refusal(other, additional_headers={"authorization": f"Bearer {value}"})

    assert (status, error["code"]) == (401, "invalid_api_key")


def test_a_shared_secret_has_the_client_and_the_session_until_it_expires():
    now = 1_000.0
    value, _ = SharedClientSecrets(SHARED, lambda: now).create("client", SESSION, 60)
    elsewhere = SharedClientSecrets(SHARED, lambda: now)

    found = elsewhere.find(value)
    assert found
    assert (found.client_id, found.session, found.expires_at) == ("client", SESSION, 1_060)
    now = 1_060.0
    assert elsewhere.find(value) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v[:-1],
        lambda v: v + "A",
        lambda v: f"{v[:40]}x{v[41:]}",
        lambda v: v[3:],
        lambda _: "ek_",
        lambda _: "ek_é",
        lambda _: "ek_" + "A" * 100_000,
        lambda _: None,
    ],
)
def test_a_changed_secret_is_no_secret(change):
    secrets = SharedClientSecrets(SHARED)
    value, _ = secrets.create("client", {}, 60)

    assert secrets.find(change(value)) is None


def test_a_shared_secret_shows_neither_the_client_nor_the_session():
    value, _ = SharedClientSecrets(SHARED).create("client", SESSION, 60)

    assert SharedClientSecrets("x" * 32).find(value) is None
    assert value.replace("-", "").replace("_", "").isalnum()


def test_a_session_object_that_is_too_large_for_a_header_is_refused():
    many = {"prompt": "".join(chr(0x4E00 + number) for number in range(5_000))}

    with pytest.raises(ServiceError) as caught:
        SharedClientSecrets(SHARED).create("client", many, 60)

    assert (caught.value.code, caught.value.param) == (ErrorCode.INVALID_REQUEST, "session")
    assert len(SharedClientSecrets(SHARED).create("client", {"prompt": "word " * 5_000}, 60)[0]) < MAX_SHARED_CHARACTERS
