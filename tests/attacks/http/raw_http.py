"""Malformed HTTP requests as bytes, and the gateway that receives them."""

import asyncio

from rapl_protocol.testing import FakeTranscriber, make_tone

BOUNDARY = "----boundary"
SPEECH = make_tone(0.5).to_wav()


def form(file: bytes = SPEECH, file_name: str = "speech.wav", **fields: str) -> bytes:
    """A multipart body with any file name and fields, without escaping."""
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
    """The gateway under attack, and its engine."""

    def __init__(self, url: str, engine: FakeTranscriber) -> None:
        self.url = url
        self.port = int(url.rpartition(":")[2])
        self.engine = engine

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def send(self, *pieces: bytes) -> tuple[int, bytes]:
        """Sends the pieces, and returns the status and the whole answer."""
        reader, writer = await self.connect()
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            return await answer_of(reader)
        finally:
            writer.close()


async def answer_of(reader: asyncio.StreamReader, limit_s: float = 30.0) -> tuple[int, bytes]:
    """The status and the whole answer; the status is 0 if the connection ended without an answer."""
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
