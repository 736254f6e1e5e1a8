"""A client's offer to speak another protocol is ignored, and the request is answered over HTTP/1.1."""

import asyncio

import pytest
from rapl_service.http.websocket import GuardedWebSocket
from rapl_service.testing import served
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

JAVA = [
    "Connection: Upgrade, HTTP2-Settings",
    "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
    "Upgrade: h2c",
]
"""What Java's HttpClient sends with its first request (java.net.http, JDK 17)."""
CURL = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"]
"""What `curl --http2` 7.88 sends."""
OTHERS = [
    ["Connection: keep-alive, Upgrade", "Upgrade: TLS/1.0"],
    ["Connection: upgrade", "Upgrade: h2c, TLS/1.2"],
    ["Upgrade: HTTP/2.0, websocket", "Connection: Upgrade"],
]


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{request.method} {request.url.path} {(await request.body()).decode()}!")


@pytest.fixture(params=["none", GuardedWebSocket], ids=["without WebSocket", "with WebSocket"])
async def connection(request):
    """A connection to a service that answers with the request's method, path and body."""
    app = Starlette(routes=[Route("/{path:path}", echo, methods=["GET", "POST"])])
    async with served(app, request.param) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        yield reader, writer
        writer.close()


def post(path: str, body: str, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", body]).encode()


async def answers_until(reader: asyncio.StreamReader, end: bytes) -> bytes:
    async with asyncio.timeout(10):
        return await reader.readuntil(end)


@pytest.mark.parametrize("offer", [JAVA, CURL, *OTHERS])
async def test_the_body_of_a_request_with_an_offer_arrives(connection, offer):
    reader, writer = connection
    writer.write(post("/a", "the body", *offer))

    answer = await answers_until(reader, b"!")
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"POST /a the body!")


@pytest.mark.parametrize("size", [1, 7, 60])
async def test_the_request_may_arrive_in_pieces_of_any_size(connection, size):
    reader, writer = connection
    request = post("/a", "the body", *JAVA)
    for start in range(0, len(request), size):
        writer.write(request[start : start + size])
        await asyncio.sleep(0)
        await writer.drain()

    assert (await answers_until(reader, b"!")).endswith(b"POST /a the body!")


async def test_a_chunked_body_arrives_too(connection):
    reader, writer = connection
    head = ["POST /a HTTP/1.1", "Host: localhost", "Transfer-Encoding: chunked", *JAVA, "", ""]
    writer.write("\r\n".join(head).encode() + b"4\r\nthe \r\n4\r\nbody\r\n0\r\n\r\n")

    assert (await answers_until(reader, b"!")).endswith(b"POST /a the body!")


async def test_further_requests_of_the_connection_are_answered(connection):
    reader, writer = connection
    writer.write(post("/a", "first", *JAVA) + post("/b", "second") + post("/c", "third", *CURL))

    for expected in (b"POST /a first!", b"POST /b second!", b"POST /c third!"):
        assert (await answers_until(reader, b"!")).endswith(expected)


async def test_a_request_without_a_body_is_answered(connection):
    reader, writer = connection
    writer.write("\r\n".join(["GET /a HTTP/1.1", "Host: localhost", *JAVA, "", ""]).encode())

    assert (await answers_until(reader, b"!")).endswith(b"GET /a !")


async def test_two_lengths_are_refused_with_an_offer_too(connection):
    reader, writer = connection
    writer.write(post("/a", "the body", "Transfer-Encoding: chunked", *JAVA))

    assert (await answers_until(reader, b"\r\n")).startswith(b"HTTP/1.1 400")
