"""The events that wait to be sent to a client."""

import asyncio
from collections import deque

from pydantic_core import to_json
from starlette.websockets import WebSocket

from rapl_gateway.realtime.rules.commands import Close, EndedBy
from rapl_gateway.realtime.rules.events import Event

MAX_WAITING_BYTES = 4 << 20
"""Most bytes of events that wait for a client that reads slowly. With more the connection is closed. A session's texts
are a few bytes for each second of audio, so a client that reads at all never has so many."""
_TOO_SLOW = Close(EndedBy.SLOW_CLIENT, "the client does not read its events")


class Outbox:
    """Sends events in order, and then closes the connection."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._waiting: deque[str] = deque()
        self._waiting_bytes = 0
        self._close: Close | None = None
        self._has_changed = asyncio.Event()

    @property
    def close(self) -> Close | None:
        """How the connection is closed; None while it is open."""
        return self._close

    def put(self, event: Event) -> None:
        """Adds an event, unless the connection is being closed."""
        if self._close:
            return
        text = to_json(event).decode()
        self._waiting.append(text)
        self._waiting_bytes += len(text)
        if self._waiting_bytes > MAX_WAITING_BYTES:
            self._waiting.clear()
            self.put_close(_TOO_SLOW)
        self._has_changed.set()

    def put_close(self, close: Close) -> None:
        """Closes the connection after the events so far. A second call changes nothing."""
        self._close = self._close or close
        self._has_changed.set()

    async def run(self) -> None:
        """Sends until the connection is closed."""
        while self._waiting or not self._close:
            if not self._waiting:
                self._has_changed.clear()
                await self._has_changed.wait()
                continue
            text = self._waiting.popleft()
            self._waiting_bytes -= len(text)
            await self._websocket.send_text(text)
        await self._websocket.close(self._close.code, self._close.reason)
