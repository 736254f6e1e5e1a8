"""A service that stops still answers requests on open connections."""

import asyncio

import uvicorn
from rapl_protocol.testing import FakeTranscriber
from rapl_service.engine_app import transcriber_app
from rapl_service.http.connection import GuardedHttp

REQUEST = b"GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n"


async def start() -> tuple[uvicorn.Server, int]:
    app = transcriber_app(FakeTranscriber())
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", http=GuardedHttp, ws="none")
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    return server, server.servers[0].sockets[0].getsockname()[1]


async def answer_when_stopped(*before: bytes) -> bytes:
    """Stops the server while a connection is open, and sends a request on it just afterwards."""
    server, port = await start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in before:
        writer.write(request)
        await reader.readuntil(b"ok")
    stopping = asyncio.create_task(server.shutdown())
    await asyncio.sleep(0)
    writer.write(REQUEST)
    answer = await reader.read()
    writer.close()
    await stopping
    return answer


async def test_a_request_on_its_way_over_a_new_connection_is_answered_and_then_it_closes():
    assert b'"ok"' in await answer_when_stopped()


async def test_a_request_on_its_way_over_a_kept_connection_is_answered_and_then_it_closes():
    assert b'"ok"' in await answer_when_stopped(REQUEST)


async def test_a_connection_without_a_request_does_not_delay_the_stop():
    server, port = await start()
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.sleep(0.05)
    async with asyncio.timeout(10):
        await server.shutdown()
    writer.close()
