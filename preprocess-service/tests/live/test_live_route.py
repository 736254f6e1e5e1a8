"""/v1/live as a client sees it: what it answers, what it refuses, and what it limits."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
import pytest
from rapl_preprocess.app import create_app
from rapl_preprocess.live import detection, session
from rapl_preprocess.live.detection import step
from rapl_preprocess.live.stream import LiveStream, Output
from rapl_preprocess.settings import Settings
from rapl_preprocess.speech.silero_network import Network
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.live_audio import (
    Flush,
    Flushed,
    LiveControl,
    LiveEvent,
    LiveOptions,
    SpeechStarted,
    SpeechStopped,
    TurnDetection,
)
from rapl_service.calls.call import Service, open_http
from rapl_service.calls.clients import PreprocessClient
from rapl_service.calls.live_audio import LiveAudio
from rapl_service.http.websocket import GuardedWebSocket
from rapl_service.testing import served, until
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

AT_16K = LiveOptions(rate_hz=16_000, detection=TurnDetection())
MAX_SESSIONS = 5


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with served(create_app(Settings(workers=1, max_live_sessions=MAX_SESSIONS)), GuardedWebSocket) as url:
        yield url


@pytest.fixture
async def live(url: str) -> AsyncIterator[LiveAudio]:
    async with open_http() as http:
        client = PreprocessClient(http, Service("preprocess-service", url, "Look at its log."))
        async with client.live(AT_16K, restart_wait_s=1.0) as live:
            yield live


def websocket(url: str) -> connect:
    return connect(url.replace("http", "ws") + "/v1/live", compression=None)


async def until_flushed(live: LiveAudio) -> list[LiveEvent]:
    found = list[LiveEvent]()
    async for event in live:
        found.append(event)
        if isinstance(event, Flushed):
            return found
    raise AssertionError


async def close_code(socket: ClientConnection) -> int | None:
    async with asyncio.timeout(20):
        async for _ in socket_messages(socket):
            pass
    return socket.close_code


async def socket_messages(socket: ClientConnection) -> AsyncIterator[str | bytes]:
    with suppress(ConnectionClosed):
        while True:
            yield await socket.recv()


async def sent_until_it_blocks(socket: ClientConnection, blocked_s: float, limit_bytes: int) -> int:
    """Sends audio until a message is not taken for `blocked_s`. Returns the bytes that were taken."""
    sent = 0
    while sent < limit_bytes:
        try:
            async with asyncio.timeout(blocked_s):
                await socket.send(bytes(60_000))
        except TimeoutError:
            return sent
        sent += 60_000
    return sent


async def test_audio_comes_back_with_the_turns_in_it(live: LiveAudio, conversation: bytes):
    for at in range(0, len(conversation), 641):
        await live.send(conversation[at : at + 641])
    await live.flush()
    events = await until_flushed(live)

    assert b"".join(event for event in events if isinstance(event, bytes)) == conversation
    assert [type(event) for event in events if not isinstance(event, bytes)] == [
        *[SpeechStarted, SpeechStopped] * 3,
        Flushed,
    ]


async def test_all_audio_may_be_sent_at_once(live: LiveAudio, conversation: bytes):
    sending = asyncio.create_task(live.send(conversation * 8))
    received = 0
    async for event in live:
        received += len(event) if isinstance(event, bytes) else 0
        if received == len(conversation) * 8:
            break
    await sending


async def test_the_options_may_change_at_any_time(live: LiveAudio):
    await live.send(bytes(32_000))
    await live.configure(LiveOptions(rate_hz=24_000))
    await live.send(bytes(48_000))
    await live.flush()

    assert (await until_flushed(live))[-1] == Flushed(at_sample=32_000)


OPTIONS = AT_16K.model_dump_json()
REFUSED = {
    "text that is not JSON": (["{"], 1007),
    "an unknown type": (['{"type":"hello"}'], 1007),
    "an unknown field": (['{"type":"options","speed":2}'], 1007),
    "a rate out of range": (['{"type":"options","rate_hz":7999}'], 1007),
    "another rate for G.711": (['{"type":"options","encoding":"pcmu","rate_hz":16000}'], 1007),
    "a state that is none": (['{"type":"resume","state":"{}"}'], 1007),
    "audio before the options": ([b"1234"], 1008),
    "a flush before the options": ([Flush().model_dump_json()], 1008),
    "resuming later": ([OPTIONS, '{"type":"resume","state":"{}"}'], 1008),
    "broken text later": ([OPTIONS, b"12", "[]"], 1007),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_message_that_cannot_be_used_closes_the_session_with_a_code(url: str, case: str, caplog):
    caplog.set_level(logging.INFO)
    messages, code = REFUSED[case]
    async with websocket(url) as socket:
        for message in messages:
            await socket.send(message)
        assert await close_code(socket) == code
    await until(lambda: "method=WEBSOCKET" in caplog.text)
    assert "Traceback" not in caplog.text


async def test_the_reason_of_a_refusal_does_not_quote_the_message(url: str):
    async with websocket(url) as socket:
        await socket.send(json.dumps({"type": "options", "rate_hz": "secret"}))
        await close_code(socket)
        assert socket.close_reason
        assert "secret" not in socket.close_reason
        assert "rate_hz" in socket.close_reason


async def test_a_client_that_sends_nothing_is_not_waited_for(url: str, monkeypatch):
    monkeypatch.setattr("rapl_preprocess.live.route.FIRST_MESSAGE_S", 0.05)
    async with websocket(url) as socket:
        assert await close_code(socket) == 1008


async def test_one_session_too_many_is_refused_until_another_one_ends(url: str):
    sockets = [await websocket(url) for _ in range(MAX_SESSIONS)]
    for socket in sockets:
        await socket.send(OPTIONS)
        await socket.send(bytes(1_000))
        await socket.recv()
    with pytest.raises(InvalidStatus) as caught:
        await websocket(url)
    assert caught.value.response.status_code == 429
    async with open_http() as http:
        client = PreprocessClient(http, Service("preprocess-service", url, ""))
        async with client.live(AT_16K) as live:
            with pytest.raises(ServiceError, match="too many sessions") as refused:
                await until_flushed(live)
    assert (refused.value.code, refused.value.retry_after_s) == (ErrorCode.OVERLOADED, 5)

    for socket in sockets:
        await socket.close()
    async with open_http() as http:
        client = PreprocessClient(http, Service("preprocess-service", url, ""))
        async with client.live(AT_16K) as live:
            await live.flush()
            assert await until_flushed(live)


async def test_a_client_that_does_not_read_is_not_processed_without_end(url: str, monkeypatch):
    """What waits for it has limits, so at some point the service reads no more, and the client cannot send more."""
    monkeypatch.setattr(session, "MAX_WAITING_BYTES", 64_000)
    monkeypatch.setattr(session, "MAX_UNSENT_BYTES", 64_000)
    async with connect(url.replace("http", "ws") + "/v1/live", compression=None, max_queue=1) as socket:
        await socket.send(OPTIONS)
        assert await sent_until_it_blocks(socket, blocked_s=1.0, limit_bytes=1 << 27) < 1 << 26
        socket.transport.abort()


async def test_a_step_that_fails_ends_its_sessions_and_their_clients_go_on_from_the_last_checkpoint(
    live: LiveAudio, conversation: bytes, monkeypatch, caplog
):
    await live.send(conversation[:200_000])
    await live.flush()
    before = await until_flushed(live)
    failed = asyncio.Event()

    def failing(network: Network, inputs: list[tuple[LiveStream, bytes | LiveControl]]) -> list[list[Output]]:
        monkeypatch.setattr(detection, "step", step)
        failed.set()
        raise MemoryError

    monkeypatch.setattr(detection, "step", failing)
    await live.send(conversation[200_000:])
    await failed.wait()
    await live.flush()
    after = await until_flushed(live)

    assert b"".join(event for event in before + after if isinstance(event, bytes)) == conversation
    assert len([event for event in before + after if isinstance(event, SpeechStarted)]) == 3
    assert "1 sessions of live audio failed" in caplog.text


async def test_a_service_without_live_audio_is_named_in_the_error(url: str):
    async with open_http() as http:
        client = PreprocessClient(http, Service("preprocess-service", f"{url}/elsewhere", "Update it."))
        async with client.live(AT_16K) as live:
            with pytest.raises(ServiceError, match=r"responded to live audio with 404\. Update it") as caught:
                await until_flushed(live)
            with pytest.raises(ServiceError):
                await live.send(b"12")
    assert caught.value.code is ErrorCode.BACKEND_UNAVAILABLE


async def test_open_sessions_and_audio_that_waits_for_the_detection_are_in_the_metrics(url: str, monkeypatch):
    async def metrics() -> list[str]:
        async with httpx.AsyncClient() as http:
            return (await http.get(f"{url}/metrics")).text.splitlines()

    assert "rapl_live_sessions 0.0" in await metrics()
    monkeypatch.setattr(session, "MAX_UNSENT_BYTES", 0)  # so that no audio is taken from the session
    async with websocket(url) as socket:
        await socket.send(AT_16K.model_dump_json())
        await socket.send(bytes(3_200))
        async with asyncio.timeout(20):
            while "rapl_live_waiting_audio_bytes 3200.0" not in await metrics():  # noqa: ASYNC110
                await asyncio.sleep(0.02)

        assert "rapl_live_sessions 1.0" in await metrics()
