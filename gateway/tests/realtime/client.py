"""A client of /v1/realtime, without OpenAI's SDK, so that every event can be sent and seen."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from rapl_protocol.audio import WavAudio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

SAMPLE = Path(__file__).parents[3] / "samples" / "three-one-four.wav"
SPEECH = bytes(WavAudio.from_wav(SAMPLE.read_bytes()).pcm)
"""3.06 s of speech, 16 kHz."""
TEXT = "one two three"
LIMIT_S = 20.0
MANUAL = {"format": {"type": "audio/pcm", "rate": 16_000}, "turn_detection": None}


class Client:
    """A client of the WebSocket, with the events that it received."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.events: list[dict[str, Any]] = []

    async def send(self, name: str, **fields: object) -> None:
        await self.socket.send(json.dumps({"type": name, **fields}))

    async def update(self, **given: object) -> None:
        session = {"type": "transcription", "audio": {"input": given}}
        await self.send("session.update", session=session)

    async def append(self, pcm: bytes, piece_bytes: int = 3_200) -> None:
        for at in range(0, len(pcm), piece_bytes):
            piece = base64.b64encode(pcm[at : at + piece_bytes]).decode()
            await self.send("input_audio_buffer.append", audio=piece)

    async def commit(self) -> None:
        await self.send("input_audio_buffer.commit")

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(LIMIT_S):
            event = json.loads(await self.socket.recv())
        self.events.append(event)
        return event

    async def until(self, *ends: str) -> dict[str, Any]:
        """The next event whose type ends like this."""
        while not (event := await self.receive())["type"].endswith(ends):
            assert not event["type"].endswith((".failed", "error")), event
        return event

    async def until_closed(self) -> tuple[int, str]:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self.receive()
        return self.socket.close_code or 0, self.socket.close_reason or ""

    def names(self) -> list[str]:
        return [event["type"] for event in self.events]


@asynccontextmanager
async def connected(
    fleet: Any, path: str = "/v1/realtime?intent=transcription", **options: Any
) -> AsyncIterator[Client]:
    async with connect(f"{fleet.url.replace('http', 'ws')}{path}", **options) as socket:
        yield Client(socket)


async def refusal(fleet, path: str = "/v1/realtime", **options) -> tuple[int, dict]:
    """Returns the status and the error with which a handshake is refused."""
    with pytest.raises(InvalidStatus) as caught:
        await connect(f"{fleet.url.replace('http', 'ws')}{path}", **options)
    return caught.value.response.status_code, json.loads(caught.value.response.body)["error"]
