"""A session of live audio with preprocess-service. It outlives its connection: after a restart of the service it goes
on where it was."""

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import Self

from pydantic import ValidationError
from rapl_protocol.errors import HTTP_STATUS, ErrorCode, ServiceError, reason_of
from rapl_protocol.live_audio import (
    Checkpoint,
    Flush,
    LiveControl,
    LiveEvent,
    LiveOptions,
    Resume,
    from_service,
)
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from rapl_service.calls.call import Service, refusal, unavailable
from rapl_service.calls.live_connection import connect_to_live_audio
from rapl_service.telemetry.tracing import CURRENT_SPAN

DEFAULT_RESTART_WAIT_S = 8.0
_RETRY_INTERVAL_S = 0.2
_PIECE_BYTES = 1 << 15
"""Longest binary message that is sent. A longer one would delay other sessions."""
_MAX_KEPT_BYTES = 1 << 20
"""Most audio that is kept for a replay or waits to be sent. If there is more, `send` waits."""
_CONTROL_BYTES = 128
"""What a message other than audio counts as."""
_MAX_WAITING_EVENTS = 256
_REFUSED = frozenset({1003, 1007, 1008, 1009})
"""Close codes of a service that refuses a message. It would refuse the same message again."""

log = logging.getLogger("rapl")


class LiveAudio:
    """Sends audio, and yields it at 16 kHz with the turns in it. Enter it as a context manager.

    One task may iterate over the events while others send. If the connection is lost, the session connects again and
    sends what the service needs of the audio; the caller sees only a longer silence.

    Args:
        service: the address of preprocess-service.
        options: the format of the audio, and the detection of turns.
        restart_wait_s: how long the session waits for a service that is down, in seconds.
        request_id: for the log of preprocess-service.
        on_retry: called when the connection is lost and will be made again; once for several attempts in a row.
    """

    def __init__(
        self,
        service: Service,
        options: LiveOptions,
        restart_wait_s: float,
        request_id: str | None = None,
        on_retry: Callable[[], None] = lambda: None,
    ) -> None:
        self._service = service
        self._restart_wait_s = restart_wait_s
        self._headers = {name: value for name, value in service.headers().items() if name != "host"}
        if request_id:
            self._headers["x-request-id"] = request_id
        if (current := CURRENT_SPAN.get()) is not None:
            self._headers |= current.headers()
        self._on_retry = on_retry
        self._replay = _Replay(options)
        self._changed = asyncio.Condition()
        self._unsent: deque[bytes | LiveControl] = deque()
        self._events: asyncio.Queue[LiveEvent | ServiceError] = asyncio.Queue(_MAX_WAITING_EVENTS)
        self._returned = _Progress()
        self._arrived = _Progress()
        self._give_up_at: float | None = None
        self._failure: ServiceError | None = None

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running.cancel()
        await asyncio.wait({self._running})
        del self._running  # its exception has a traceback with this object and its audio, which would be a cycle

    @property
    def unsent_bytes(self) -> int:
        """Bytes of audio that are not yet sent to the service."""
        return sum(len(message) for message in self._unsent if isinstance(message, bytes))

    async def send(self, audio: bytes) -> None:
        """Sends audio; any number of bytes. Waits while the service is behind. Raises: ServiceError."""
        for at in range(0, len(audio), _PIECE_BYTES):
            await self._add(audio[at : at + _PIECE_BYTES])

    async def configure(self, options: LiveOptions) -> None:
        """Changes the options for the audio after this call. Raises: ServiceError."""
        await self._add(options)

    async def flush(self) -> None:
        """Requests a `Flushed` event, which follows the audio and the events so far. Raises: ServiceError."""
        await self._add(Flush())

    async def __aiter__(self) -> AsyncGenerator[LiveEvent]:
        """Yields audio and events without an end. Raises: ServiceError, BACKEND_UNAVAILABLE."""
        while not isinstance(event := await self._events.get(), ServiceError):
            yield event
        self._events.put_nowait(event)  # a later iteration ends with it too
        raise event

    async def _add(self, message: bytes | LiveControl) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._failure or self._replay.kept_bytes < _MAX_KEPT_BYTES)
            if self._failure:
                raise self._failure
            self._replay.add(message)
            self._unsent.append(message)
            self._changed.notify_all()

    async def _run(self) -> None:
        try:
            while True:
                await self._connection()
                await asyncio.sleep(_RETRY_INTERVAL_S)
        except ServiceError as error:
            failure = error
        except Exception:
            log.exception("a session of live audio failed")
            failure = ServiceError(ErrorCode.INTERNAL, "internal error; the server's log has the cause")
        async with self._changed:
            self._failure = failure
            self._changed.notify_all()
        await self._events.put(failure)

    async def _connection(self) -> None:
        """Uses one connection until it is lost. Raises: ServiceError, if another connection would not help."""
        connected_at = math.inf
        try:
            async with await connect_to_live_audio(self._service, self._headers) as socket:
                connected_at = time.monotonic()
                await self._exchange(socket)
        except (OSError, WebSocketException) as error:  # a TimeoutError is an OSError
            _require_temporary(self._service, error)
            now = time.monotonic()
            if self._give_up_at is None or now - connected_at > self._restart_wait_s:
                self._give_up_at = now + self._restart_wait_s
                self._on_retry()
                log.warning("retry of a session of live audio with %s: %s", self._service.name, type(error).__name__)
            if now >= self._give_up_at:
                raise unavailable(self._service, "lost a session of live audio") from error

    async def _exchange(self, socket: ClientConnection) -> None:
        if checkpoint := self._replay.checkpoint:
            await socket.send(Resume(state=checkpoint.state).model_dump_json())
        self._arrived = self._replay.progress.copy()
        self._unsent = self._replay.messages()
        sending = asyncio.create_task(self._send_all(socket))
        receiving = asyncio.create_task(self._receive_all(socket))
        try:
            await asyncio.gather(sending, receiving)
        finally:
            sending.cancel()
            receiving.cancel()
            del sending, receiving  # a task keeps its exception, whose traceback keeps this frame

    async def _send_all(self, socket: ClientConnection) -> None:
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._unsent)
            while self._unsent:
                message = self._unsent.popleft()
                await socket.send(message if isinstance(message, bytes) else message.model_dump_json())

    async def _receive_all(self, socket: ClientConnection) -> None:
        while True:
            message = await socket.recv()
            if isinstance(message, bytes):
                await self._receive_audio(message)
            else:
                await self._receive_event(message)

    async def _receive_audio(self, pcm: bytes) -> None:
        new_bytes = self._arrived.add_audio(pcm) - self._returned.audio_bytes
        if new_bytes > 0:
            await self._yield(pcm[-new_bytes:])
            self._returned.add_audio(pcm[-new_bytes:])  # only now: a lost connection cancels the line before

    async def _receive_event(self, message: str) -> None:
        try:
            event = from_service.validate_json(message)
        except ValidationError as error:
            raise unavailable(self._service, f"sent a broken message ({reason_of(error)})") from None
        if isinstance(event, Checkpoint):
            async with self._changed:
                self._replay.forget(event, self._arrived)
                self._changed.notify_all()
            return
        self._arrived.events += 1
        if self._arrived.events > self._returned.events:
            await self._yield(event)
            self._returned.events += 1

    async def _yield(self, event: LiveEvent) -> None:
        self._give_up_at = None  # the service is making progress
        await self._events.put(event)


class _Progress:
    """How much of the service's output there is."""

    def __init__(self, audio_bytes: int = 0, events: int = 0) -> None:
        self.audio_bytes = audio_bytes
        self.events = events

    def copy(self) -> "_Progress":
        return _Progress(self.audio_bytes, self.events)

    def add_audio(self, pcm: bytes) -> int:
        """Counts the audio, and returns all of it so far, in bytes."""
        self.audio_bytes += len(pcm)
        return self.audio_bytes


class _Replay:
    """The messages that a new connection needs: all since the last checkpoint."""

    def __init__(self, options: LiveOptions) -> None:
        self.checkpoint: Checkpoint | None = None
        self.progress = _Progress()
        """The output before the checkpoint, as a resumed session counts it."""
        self.kept_bytes = 0
        self._messages: deque[bytes | LiveControl] = deque([options])
        self._first_byte = self._first_control = 0

    def messages(self) -> deque[bytes | LiveControl]:
        return self._messages.copy()

    def add(self, message: bytes | LiveControl) -> None:
        self._messages.append(message)
        self.kept_bytes += len(message) if isinstance(message, bytes) else _CONTROL_BYTES

    def forget(self, checkpoint: Checkpoint, arrived: _Progress) -> None:
        """Drops what the checkpoint contains."""
        messages, self._messages, self.kept_bytes = self._messages, deque(), 0
        at, control = self._first_byte, self._first_control
        for message in messages:
            if isinstance(message, bytes):
                needed = message[max(checkpoint.keep_from_byte - at, 0) :]
                at += len(message)
                if needed:
                    self.add(needed)
            else:
                if control >= checkpoint.controls:
                    self.add(message)
                control += 1
        self._first_byte, self._first_control = checkpoint.keep_from_byte, checkpoint.controls
        self.checkpoint = checkpoint
        self.progress = _Progress(checkpoint.at_sample * 2, arrived.events)


def _require_temporary(service: Service, error: Exception) -> None:
    """Raises: ServiceError, if another connection would fail in the same way."""
    if isinstance(error, ConnectionClosed) and error.rcvd and error.rcvd.code in _REFUSED:
        raise unavailable(service, f"refused a message of live audio with {error.rcvd.code}") from error
    if isinstance(error, InvalidStatus) and (status := error.response.status_code) < 500:
        if status == HTTP_STATUS[ErrorCode.OVERLOADED]:
            raise refusal(service, status, bytes(error.response.body or b""), error.response.headers.get("retry-after"))
        raise unavailable(service, f"responded to live audio with {status}") from error
