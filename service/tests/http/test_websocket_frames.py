"""Attack: WebSocket frames that are allowed one by one, and that would fill the memory or the log together."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from rapl_service.http.websocket import MAX_FRAGMENTS, GuardedWebSocket
from rapl_service.testing import served
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.frames import Frame, Opcode

HANDSHAKE = b"\r\n".join(
    [
        b"GET / HTTP/1.1", b"host: localhost", b"connection: upgrade", b"upgrade: websocket",
        b"sec-websocket-version: 13", b"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==", b"", b"",
    ]
)  # fmt: skip
SMALL_BUFFER = 1 << 16
KERNEL_BYTES = 6 << 20
"""More than the kernel keeps for a connection: tcp_wmem and the client's small buffer."""


async def measures(websocket: WebSocket) -> None:
    """Answers each message with its length."""
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(str(len(text)))


@pytest.fixture
async def connection() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    app = Starlette(routes=[WebSocketRoute("/", measures)])
    async with served(app, GuardedWebSocket) as url:
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", int(url.rpartition(":")[2])))
        reader, writer = await asyncio.open_connection(sock=raw, limit=SMALL_BUFFER)
        writer.write(HANDSHAKE)
        await reader.readuntil(b"\r\n\r\n")
        yield reader, writer
        writer.close()


def frame(opcode: Opcode, data: bytes, *, is_last: bool = True) -> bytes:
    return Frame(opcode, data, fin=is_last).serialize(mask=True)


async def test_pongs_do_not_wait_in_memory_for_a_client_that_does_not_read(connection):
    reader, writer = connection
    pings = frame(Opcode.PING, bytes(125)) * 1_000
    sent_bytes = 0
    while sent_bytes < 3 * KERNEL_BYTES:
        writer.write(pings)
        await writer.drain()
        sent_bytes += len(pings)
    writer.write(frame(Opcode.CLOSE, b""))

    assert len(await reader.read(-1)) < KERNEL_BYTES


async def test_a_message_in_pieces_is_one_message(connection):
    reader, writer = connection
    pieces = [frame(Opcode.TEXT, b"a", is_last=False), *[frame(Opcode.CONT, b"a", is_last=False)] * 9]
    writer.write(b"".join([*pieces, frame(Opcode.CONT, b"a")]))

    assert await reader.readexactly(4) == b"\x81\x0211"


@pytest.mark.parametrize("piece", [b"", b"ab"], ids=["empty", "tiny"])
async def test_a_message_in_too_many_pieces_ends_its_connection(connection, piece):
    reader, writer = connection
    writer.write(frame(Opcode.TEXT, b"a", is_last=False))
    writer.write(frame(Opcode.CONT, piece, is_last=False) * 2 * MAX_FRAGMENTS)

    assert (await reader.read(-1))[2:] == (1009).to_bytes(2) + b"too many frames in one message"


async def test_text_that_is_not_utf8_ends_its_connection_and_is_no_mistake_of_the_service(connection, caplog):
    reader, writer = connection
    writer.write(frame(Opcode.TEXT, b"\xff{"))

    assert await reader.readexactly(4) == b"\x88\x02" + (1007).to_bytes(2)
    assert "Traceback" not in caplog.text
