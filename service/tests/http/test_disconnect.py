"""Work for a request is cancelled when its client disconnects."""

import asyncio

import pytest
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_service.http.disconnect import cancel_on_disconnect
from rapl_service.testing import served
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

HEAD = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n"


class SlowService:
    """A service whose work ends when a test sets an event."""

    def __init__(self) -> None:
        self.has_arrived = asyncio.Event()
        self.may_begin, self.may_end = asyncio.Event(), asyncio.Event()
        self.has_begun, self.was_cancelled = asyncio.Event(), asyncio.Event()
        self.is_over = asyncio.Event()
        self.app = Starlette(routes=[Route("/", self.answer, methods=["POST"])])

    async def answer(self, request: Request) -> PlainTextResponse:
        try:
            await request.body()
            self.has_arrived.set()
            await self.may_begin.wait()
            return PlainTextResponse(await cancel_on_disconnect(request, self.work()))
        finally:
            self.is_over.set()

    async def work(self) -> str:
        self.has_begun.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.was_cancelled.set()
            raise
        return "done"


@pytest.mark.parametrize("body_bytes", [0, 1_000, 600_000, 5_200_000])
async def test_work_is_cancelled_when_its_client_disconnects(body_bytes):
    service = SlowService()
    service.may_begin.set()
    async with served(service.app) as url:
        writer = await sent(url, bytes(body_bytes))
        await service.has_begun.wait()
        writer.close()

        await asyncio.wait_for(service.was_cancelled.wait(), 5)


async def test_work_that_a_stopping_server_cancels_is_an_error_after_which_the_request_can_be_sent_again():
    service = SlowService()
    answer = asyncio.create_task(cancel_on_disconnect(Request({"type": "http"}), service.work()))
    await service.has_begun.wait()
    answer.cancel()

    with pytest.raises(ServiceError) as caught:
        await answer
    assert caught.value.code is ErrorCode.BACKEND_UNAVAILABLE


async def test_work_does_not_start_for_a_client_that_has_disconnected():
    service = SlowService()
    async with served(service.app) as url:
        writer = await sent(url)
        await service.has_arrived.wait()
        writer.close()
        await asyncio.sleep(0.1)
        service.may_begin.set()
        await asyncio.wait_for(service.is_over.wait(), 5)

    assert not service.has_begun.is_set()


async def test_a_client_that_stays_gets_its_answer_and_the_next_one_over_the_same_connection():
    service = SlowService()
    service.may_begin.set()
    service.may_end.set()
    async with served(service.app) as url:
        reader, writer = await asyncio.open_connection(*address(url))
        for _ in range(2):
            writer.write(HEAD % 0)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            assert head.startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(4) == b"done"
        writer.close()

    assert not service.was_cancelled.is_set()


async def sent(url: str, body: bytes = b"") -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection(*address(url))
    writer.write(HEAD % len(body) + body)
    await writer.drain()
    return writer


def address(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").partition(":")
    return host, int(port)
