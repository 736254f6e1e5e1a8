"""One session: its connections to the client and to preprocess-service, and its limits in time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.live_audio import Flush, LiveOptions
from rapl_service.calls.live_audio import LiveAudio
from starlette.websockets import WebSocket, WebSocketDisconnect

from rapl_gateway.realtime.figures import RealtimeMetrics, TurnFigures
from rapl_gateway.realtime.outbox import Outbox
from rapl_gateway.realtime.rules.client_events import decoded_append
from rapl_gateway.realtime.rules.commands import (
    AddAudio,
    BeginTurn,
    Close,
    Command,
    CommitTurn,
    DropTurn,
    EndedBy,
    Send,
    ToDetector,
)
from rapl_gateway.realtime.rules.session_rules import SessionRules
from rapl_gateway.realtime.turn_text import TextDelta, TurnCompleted, TurnText
from rapl_gateway.realtime.turns import SessionTurns

END_S = 20.0
"""Seconds that the turns of a session that ends have for their texts. Less than the time in which a service that stops
waits for its connections."""
_WATCH_S = 0.5
"""Seconds between two looks at a session that should end and still has turns."""

BeginText = Callable[[BeginTurn, TurnFigures], Awaitable[TurnText]]


class RealtimeSession:
    """Runs one session after its handshake.

    Args:
        websocket: the connection, which has been accepted.
        rules: decides what happens.
        live: the session with preprocess-service; it is entered here.
        begin_text: begins the text of a turn.
        metrics: counts the turns; None: they are not counted.
        idle_s: longest time without a message of the client, in seconds.
        max_session_s: longest time in all, in seconds.
    """

    def __init__(
        self,
        websocket: WebSocket,
        rules: SessionRules,
        live: LiveAudio,
        begin_text: BeginText,
        metrics: RealtimeMetrics | None,
        *,
        idle_s: float,
        max_session_s: float,
    ) -> None:
        self._websocket = websocket
        self._rules = rules
        self._live_audio = live
        self._begin_text = begin_text
        self._idle_s = idle_s
        self._max_session_s = max_session_s
        self._outbox = Outbox(websocket)
        self._turns = SessionTurns(metrics)
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._ending: asyncio.Task[None] | None = None
        self._last_message = time.monotonic()

    @property
    def close(self) -> Close | None:
        """How the server closed the connection; None if the client left."""
        return self._outbox.close

    def waiting_bytes(self) -> dict[str, int]:
        """Bytes of audio that wait, by what they wait for, as in the metrics' label `waits_for`."""
        return {"detection": self._live_audio.unsent_bytes, "text": self._rules.buffer.waiting_bytes}

    async def run(self) -> None:
        """Runs until the client leaves or the server has closed the connection."""
        async with self._live_audio:
            self._perform(self._rules.begin())
            works = (self._read(), self._listen(), self._outbox.run(), self._watch())
            tasks = [asyncio.create_task(work) for work in works]
            try:
                await self._first_end(tasks)
            finally:
                others = [*tasks, *([self._ending] if self._ending else [])]
                for task in others:
                    task.cancel()
                await asyncio.gather(*others, return_exceptions=True)
                await self._turns.close()

    def end(self, ended_by: EndedBy, reason: str) -> None:
        """Commits the open turn, waits for the texts of all turns, and closes the connection. Turns that have no text
        after END_S fail."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._end(ended_by, reason))

    async def _end(self, ended_by: EndedBy, reason: str) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(END_S):
                with suppress(ServiceError):  # the session also ends without speech detection
                    await self._perform_all(self._rules.end(ended_by, reason))
                await asyncio.Event().wait()  # this task is cancelled when the connection is closed
        late = ServiceError(
            ErrorCode.BACKEND_TIMEOUT, f"the session ended, and the text was not ready within {END_S:g} s"
        )
        self._perform(self._rules.give_up(late))
        self._turns.drop_all(late)

    @staticmethod
    async def _first_end(tasks: Sequence[asyncio.Task[None]]) -> None:
        """Waits until the client has left or the connection is closed. Raises: what a task raised."""
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            with suppress(WebSocketDisconnect):
                task.result()

    async def _read(self) -> None:
        """Gives the client's messages to the rules, until the client leaves."""
        while True:
            await self._has_room.wait()
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            self._last_message = time.monotonic()
            text: str | None = message.get("text")
            sent: str | bytes = message["bytes"] if text is None else text
            decoded = await decoded_append(sent)
            with suppress(ServiceError):  # `_listen` gets the same error and tells the client
                await self._perform_all(self._rules.on_message(sent, decoded))
            self._last_message = time.monotonic()

    async def _listen(self) -> None:
        """Gives what preprocess-service sends to the rules. After a failure the session waits for its turns."""
        try:
            async for event in self._live_audio:
                self._perform(self._rules.on_live(event))
        except ServiceError as error:
            self._perform(self._rules.on_detector_failed(error))
        await asyncio.Event().wait()

    async def _watch(self) -> None:
        """Ends a session that is idle or too old, and a session whose server stops."""
        ends_at = time.monotonic() + self._max_session_s
        while True:
            idle_at = self._last_message + self._idle_s
            least_s = min(_WATCH_S, self._idle_s, self._max_session_s)
            await asyncio.sleep(max(least_s, min(ends_at, idle_at) - time.monotonic()))
            now = time.monotonic()
            if now >= ends_at:
                self.end(EndedBy.TOO_LONG, f"a session lasts at most {self._max_session_s:g} s")
            elif now - self._last_message > self._idle_s and self._rules.is_idle:
                self.end(EndedBy.IDLE, f"the session was idle for {self._idle_s:g} s")

    def _on_text(self, item_id: str, event: TextDelta | TurnCompleted | ServiceError) -> None:
        match event:
            case TextDelta():
                commands = self._rules.on_delta(item_id, event)
            case TurnCompleted():
                commands = self._rules.on_completed(item_id, event)
            case ServiceError():
                commands = self._rules.on_failed(item_id, event)
        self._perform(commands)

    async def _perform_all(self, commands: Sequence[Command]) -> None:
        """Performs commands, of which some wait for preprocess-service. Raises: ServiceError."""
        for command in commands:
            match command:
                case ToDetector(message=LiveOptions() as options):
                    await self._live_audio.configure(options)
                case ToDetector(message=Flush()):
                    await self._live_audio.flush()
                case ToDetector(message=bytes() as audio):
                    await self._live_audio.send(audio)
                case _:
                    self._perform([command])

    def _perform(self, commands: Sequence[Command]) -> None:
        for command in commands:
            match command:
                case Send(event=event):
                    self._outbox.put(event)
                case BeginTurn(item_id=item_id):
                    self._turns.begin(item_id, partial(self._begin_text, command), self._on_text)
                case AddAudio(item_id=item_id, pcm=pcm):
                    self._turns.append(item_id, pcm)
                case CommitTurn(item_id=item_id):
                    self._turns.commit(item_id)
                case DropTurn(item_id=item_id, error=error):
                    self._turns.drop(item_id, error)
                case Close():
                    self._outbox.put_close(command)
                case ToDetector():
                    raise AssertionError("only a client's message and the end of a session lead to this command")
        if self._rules.is_behind:
            self._has_room.clear()
        else:
            self._has_room.set()
