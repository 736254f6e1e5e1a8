"""One realtime session with the gateway: audio is sent, and the text of the turns comes back."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from rapl_cli.gateway_address import GatewayAddress
from rapl_cli.gateway_api import GatewayError, for_commands, not_a_gateway, unreachable, wrong_key
from rapl_cli.listening.live_text import LiveText

_TRANSCRIPTION = "conversation.item.input_audio_transcription."


class AudioSource(Protocol):
    rate_hz: int

    def pieces(self) -> AsyncGenerator[bytes]: ...


class ListeningSession:
    """Sends audio, and gets the text of its turns.

    Args:
        address: of the gateway.
        transcription: the fields of the session's `transcription` object: `model`, `language`, `prompt`.
        text: what gets the text.
    """

    def __init__(self, address: GatewayAddress, transcription: dict[str, str], text: LiveText) -> None:
        self._address = address
        self._transcription = transcription
        self._text = text
        self._spoken: set[str] = set()
        """Turns that began with speech."""
        self._open: set[str] = set()
        """Turns that were committed and have no final text yet."""
        self._has_ended = False
        """Whether the last commit was sent."""
        self._is_last = False
        """Whether the last commit was received."""
        self.failures: list[str] = []
        """Why turns have no text."""

    async def run(self, source: AudioSource, stop: asyncio.Event) -> None:
        """Sends the audio until it ends or `stop` is set, and waits for the text of every turn.

        Raises:
            CommandError: the audio cannot be read.
            GatewayError: the gateway cannot be reached, refuses the session or ends it.
        """
        async with self._connected() as socket:
            reading = asyncio.create_task(self._read(socket))
            sending = asyncio.create_task(self._send(socket, source))
            stopping = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait({reading, sending, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if stop.is_set():
                    sending.cancel()
                elif sending.done():
                    sending.result()
                if not reading.done():
                    await self._commit(socket)
                await reading
            except ConnectionClosed as closed:
                raise GatewayError(_end_of(closed)) from closed
            finally:
                for task in (reading, sending, stopping):
                    task.cancel()
                await asyncio.gather(reading, sending, stopping, return_exceptions=True)

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[ClientConnection]:
        try:
            socket = await connect(**self._address.websocket_options("/v1/realtime?intent=transcription"))
        except InvalidStatus as refused:
            raise _refusal(refused, self._address) from refused
        except (OSError, InvalidHandshake) as error:
            raise unreachable(self._address, error) from error
        async with socket:
            yield socket

    async def _send(self, socket: ClientConnection, source: AudioSource) -> None:
        audio = {
            "format": {"type": "audio/pcm", "rate": source.rate_hz},
            "transcription": self._transcription,
            "turn_detection": {"type": "server_vad"},
        }
        session = {"type": "transcription", "audio": {"input": audio}}
        await socket.send(json.dumps({"type": "session.update", "session": session}))
        async for piece in source.pieces():
            event = {"type": "input_audio_buffer.append", "audio": base64.b64encode(piece).decode()}
            await socket.send(json.dumps(event))

    async def _commit(self, socket: ClientConnection) -> None:
        """Commits the open turn, if there is one, and then an empty one, which is the last."""
        self._has_ended = True
        for _ in range(2):
            await socket.send(json.dumps({"type": "input_audio_buffer.commit"}))

    async def _read(self, socket: ClientConnection) -> None:
        """Reads until every turn that was committed has its text, after the empty turn at the end."""
        while self._open or not self._is_last:
            self._take(json.loads(await socket.recv()))

    def _take(self, event: dict[str, Any]) -> None:
        turn = str(event.get("item_id"))
        match event["type"]:
            case "input_audio_buffer.speech_started":
                self._spoken.add(turn)
                self._text.begin(turn)
            case "input_audio_buffer.committed":
                self._open.add(turn)
                self._is_last = self._has_ended and turn not in self._spoken
            case kind if kind == f"{_TRANSCRIPTION}delta":
                self._text.append(turn, event["delta"])
            case kind if kind in (f"{_TRANSCRIPTION}completed", f"{_TRANSCRIPTION}failed"):
                self._open.discard(turn)
                self._text.complete(turn)
                if kind.endswith("failed"):
                    self.failures.append(event["error"]["message"])
            case "error":
                raise GatewayError(for_commands(event["error"]["message"]))
            case _:
                pass


def _refusal(refused: InvalidStatus, address: GatewayAddress) -> GatewayError:
    """The gateway's reason for refusing the session."""
    if refused.response.status_code == HTTPStatus.UNAUTHORIZED:
        return wrong_key(address)
    try:
        return GatewayError(for_commands(str(json.loads(refused.response.body or b"")["error"]["message"])))
    except (ValueError, LookupError, TypeError):
        return not_a_gateway(address)


def _end_of(closed: ConnectionClosed) -> str:
    if closed.rcvd is None:
        return "the connection to the gateway was lost"
    return f"the gateway ended the session: {closed.rcvd.reason or closed.rcvd.code}"
