"""The framing of internal requests and responses: a line of JSON, then as many raw bytes as the line announces.

    {"type": "segment", "start_s": 0.0, "end_s": 3.2, "payload_bytes": 102400}\\n<102400 bytes>

It needs no base64 and no multipart parser, and curl can send and read it:

    { echo '{"model": "rapl/selftest"}'; cat speech.wav; } | curl --data-binary @- $ENGINE/v1/transcribe
"""

import json
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

MAX_HEADER_BYTES = 1 << 20
CONTENT_TYPE = "application/vnd.rapl.frames"


@dataclass(frozen=True, slots=True)
class Frame:
    header: dict[str, Any]
    payload: bytes | memoryview = b""


def encode_frame(header: dict[str, Any], *payload: bytes | memoryview) -> bytes:
    return b"".join(frame_pieces(header, *payload))


def frame_pieces(header: dict[str, Any], *payload: bytes | memoryview) -> tuple[bytes | memoryview, ...]:
    """The pieces of an encoded frame, which are not joined."""
    size = sum([len(part) for part in payload])
    line = json.dumps({**header, "payload_bytes": size} if size else header)
    return (f"{line}\n".encode(), *payload)


def decode_single_frame(body: bytes) -> Frame:
    """Reads a body that is one frame. Its payload is everything after the line.

    Raises:
        ValueError: the body does not begin with a line of JSON.
    """
    end = body.find(b"\n", 0, MAX_HEADER_BYTES)
    if end < 0:
        raise ValueError("the body does not begin with a line of JSON")
    return Frame(_header(body[:end]), memoryview(body)[end + 1 :])


async def decode_frames(chunks: AsyncIterable[bytes], *, max_payload_bytes: int | None = None) -> AsyncIterator[Frame]:
    """Yields frames as they arrive.

    Args:
        max_payload_bytes: the largest payload of one frame; None if the sender is trusted.

    Raises:
        ValueError: the bytes are not frames, a payload is too large, or the last frame is incomplete.
    """
    buffer = bytearray()
    header: dict[str, Any] | None = None
    async for chunk in chunks:
        buffer += chunk
        while True:
            if header is None:
                end = buffer.find(b"\n")
                if end < 0:
                    if len(buffer) > MAX_HEADER_BYTES:
                        raise ValueError("a frame's header does not end")
                    break
                header = _header(bytes(buffer[:end]))
                del buffer[: end + 1]
            size = header.pop("payload_bytes", 0)
            if max_payload_bytes is not None and size > max_payload_bytes:
                raise ValueError("a frame's payload is too large")
            if len(buffer) < size:
                header["payload_bytes"] = size
                break
            yield Frame(header, bytes(buffer[:size]))
            del buffer[:size]
            header = None
    if buffer or header is not None:
        raise ValueError("the frames end in the middle of one")


def _header(line: bytes) -> dict[str, Any]:
    header: dict[str, Any] | None = from_json(line)
    if not isinstance(header, dict):
        raise ValueError("a frame's header is not a JSON object")
    payload_bytes: Any = header.get("payload_bytes", 0)
    if not isinstance(payload_bytes, int) or payload_bytes < 0:
        raise ValueError("a frame's payload_bytes is not a number of bytes")
    return header
