"""`LiveAudio` against services that behave badly. `preprocess-service/tests/live` has the real one."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.live_audio import Checkpoint, Flushed, LiveOptions, SpeechStarted
from rapl_service.calls.call import Service
from rapl_service.calls.live_audio import LiveAudio
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

Handler = Callable[[ServerConnection], Awaitable[None]]
OPTIONS = LiveOptions()


@asynccontextmanager
async def session(handler: Handler, restart_wait_s: float) -> AsyncGenerator[LiveAudio]:
    async with serve(handler, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        service = Service("preprocess-service", f"http://127.0.0.1:{port}", "Look at its log.", token="a-token")
        async with LiveAudio(service, OPTIONS, restart_wait_s, "req_1") as live:
            yield live


async def failure_of(live: LiveAudio) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        async for _ in live:
            pass
    return caught.value


async def test_the_options_come_first_with_the_token_and_the_request_id():
    received = asyncio.Queue[object]()

    async def handler(socket: ServerConnection) -> None:
        assert socket.request
        received.put_nowait([socket.request.headers[name] for name in ("authorization", "x-request-id")])
        async for message in socket:
            received.put_nowait(message)

    async with session(handler, 5.0) as live:
        await live.send(b"123")
        assert await received.get() == ["Bearer a-token", "req_1"]
        assert await received.get() == OPTIONS.model_dump_json()
        assert await received.get() == b"123"


@pytest.mark.parametrize("code", [1003, 1007, 1008, 1009])
async def test_a_refused_message_is_not_sent_again(code: int):
    connections = 0

    async def handler(socket: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        await socket.recv()
        await socket.close(code)

    async with session(handler, 60.0) as live:
        error = await failure_of(live)

    assert (error.code, connections) == (ErrorCode.BACKEND_UNAVAILABLE, 1)
    assert str(code) in error.message


async def test_a_service_that_fails_again_and_again_without_any_output_is_given_up():
    connections = 0

    async def handler(socket: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        await socket.recv()
        await socket.close(1011)

    async with session(handler, 0.5) as live:
        error = await failure_of(live)
        with pytest.raises(ServiceError):
            await live.send(b"12")
        assert await failure_of(live) is error

    assert error.code is ErrorCode.BACKEND_UNAVAILABLE
    assert connections >= 2


async def test_a_broken_message_is_an_error_that_does_not_quote_it():
    async def handler(socket: ServerConnection) -> None:
        await socket.send('{"type":"speech_started","at_sample":"secret"}')
        await socket.wait_closed()

    async with session(handler, 5.0) as live:
        error = await failure_of(live)

    assert "at_sample" in error.message
    assert "secret" not in error.message


async def test_after_a_checkpoint_only_what_follows_it_is_sent_again_and_nothing_is_yielded_twice():
    """The first connection is lost after two samples beyond the checkpoint; the second one sends them again."""
    first = asyncio.Event()
    checkpoint = Checkpoint(at_sample=2, keep_from_byte=3, controls=1, state="the state")
    started, flushed = SpeechStarted(at_sample=1), Flushed(at_sample=6)
    replayed = list[str | bytes]()

    async def handler(socket: ServerConnection) -> None:
        if not first.is_set():
            first.set()
            assert [await socket.recv() for _ in range(2)] == [OPTIONS.model_dump_json(), b"abcdef"]
            await socket.send(b"1122")
            for event in (started, checkpoint):
                await socket.send(event.model_dump_json())
            await socket.send(b"33")
            await socket.close(1012)
            return
        replayed.extend([await socket.recv() for _ in range(3)])
        await socket.send(b"3344")
        await socket.send(flushed.model_dump_json())
        await socket.wait_closed()

    async with session(handler, 10.0) as live:
        await live.send(b"abcdef")
        await first.wait()
        await live.flush()
        events = aiter(live)
        received = [await anext(events) for _ in range(5)]

    assert received == [b"1122", started, b"33", b"44", flushed]
    assert replayed == ['{"type":"resume","state":"the state"}', b"def", '{"type":"flush"}']


async def test_sending_waits_while_the_service_makes_no_checkpoint():
    async def handler(socket: ServerConnection) -> None:
        try:
            async for _ in socket:
                pass
        except ConnectionClosed:
            pass

    async with session(handler, 5.0) as live:
        sending = asyncio.create_task(live.send(bytes(4 << 20)))
        await asyncio.sleep(0.2)
        assert not sending.done()
        sending.cancel()
