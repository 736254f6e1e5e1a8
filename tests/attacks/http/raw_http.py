"""Requests as no decent client would send them, and the gateway that gets them."""

import asyncio

from rapl_protocol.testing import FakeTranscriber, make_tone

BOUNDARY = "----boundary"
SPEECH = make_tone(0.5).to_wav()


def form(file: bytes = SPEECH, file_name: str = "speech.wav", **fields: str) -> bytes:
    """A multipart body, with whatever a file name or a field may hold."""
    parts = [
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    head = f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="{file_name}"\r\n\r\n'
    return "".join(parts).encode() + head.encode() + file + f"\r\n--{BOUNDARY}--\r\n".encode()


def post(body: bytes, *headers: str, host: str = "127.0.0.1", sized: bool = True) -> bytes:
    """A request to transcribe, as bytes."""
    lines = [
        "POST /v1/audio/transcriptions HTTP/1.1",
        f"host: {host}",
        f"content-type: multipart/form-data; boundary={BOUNDARY}",
        *([f"content-length: {len(body)}"] if sized else []),
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def get(path: str, *headers: str, host: str = "127.0.0.1") -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", f"host: {host}", *headers, "", ""]).encode()


class Target:
    """The gateway under attack."""

    def __init__(self, url: str, engine: FakeTranscriber) -> None:
        self.url = url
        self.port = int(url.rpartition(":")[2])
        self.engine = engine

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def send(self, *pieces: bytes, pause_s: float = 0.0, limit_s: float = 30.0) -> tuple[int, bytes]:
        """Sends the pieces, and returns the status and all that comes until the connection ends or falls silent."""
        reader, writer = await self.connect()
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause_s)
            return await answer_of(reader, limit_s)
        finally:
            writer.close()


async def answer_of(reader: asyncio.StreamReader, limit_s: float = 30.0) -> tuple[int, bytes]:
    """Status and the whole answer; 0 where the connection ended without one."""
    received = b""
    try:
        async with asyncio.timeout(limit_s):
            while chunk := await reader.read(1 << 16):
                received += chunk
                if _is_whole(received):
                    break
    except ConnectionResetError:
        pass
    return (int(received.split(b" ", 2)[1]) if received else 0), received


def _is_whole(received: bytes) -> bool:
    head, found, body = received.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return bool(found) and len(body) >= int(line.split(b":")[1])
    return False
