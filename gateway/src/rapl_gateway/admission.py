"""Whether a request may come in now: before its upload is received, and spread over turns of the event loop."""

import asyncio
from collections import deque

from fastapi import Request
from rapl_protocol.audio import BYTES_PER_SECOND
from rapl_protocol.errors import ServiceError
from rapl_protocol.prepared import MAX_SEGMENT_S
from rapl_service.http.body import drain

from rapl_gateway.backends.backend import Backends
from rapl_gateway.security.api_keys import CLIENT_ID

AT_ONCE = 4
"""So many requests begin in one turn of the event loop: one or two milliseconds of work."""


async def admit(request: Request, backends: Backends) -> str:
    """Whose the request is, where those who ask take turns: its key's, or its address's where no key is asked for.

    Raises:
        ServiceError: OVERLOADED, where it would be refused whatever its model is. Nothing was kept of its body.
    """
    share = request.scope.get(CLIENT_ID) or (request.client.host if request.client else "")
    try:
        backends.require_room(share)
    except ServiceError:
        await drain(request.receive)
        raise
    return share


def expected_s(size_bytes: int) -> float:
    """How much audio an upload brings at first, to judge by its size: exact for canonical WAV, else too little."""
    return min(MAX_SEGMENT_S, size_bytes / BYTES_PER_SECOND)


class StartLimiter:
    """Lets `at_once` in within one turn of the event loop, and the others in their order in the turns that follow."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._room = at_once
        self._is_open = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> None:
        if self._room and not self._waiting:
            self._take_room()
            return
        self._waiting.append(turn := asyncio.get_running_loop().create_future())
        await turn

    def _take_room(self) -> None:
        self._room -= 1
        if not self._is_open:
            self._is_open = True
            asyncio.get_running_loop().call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._room, self._is_open = self._at_once, False
        while self._room and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # as it is where its task was cancelled
                turn.set_result(None)
                self._take_room()
