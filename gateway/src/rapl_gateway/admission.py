"""Whether a request may come in now: its client's place in the queue, and how many requests start at once."""

import asyncio
from collections import deque

from rapl_protocol.audio import BYTES_PER_SECOND
from rapl_protocol.errors import ServiceError
from rapl_protocol.prepared import MAX_SEGMENT_S
from rapl_service.http.body import drain
from starlette.requests import Request

from rapl_gateway.backends.backend import Backends
from rapl_gateway.security.api_keys import CLIENT_ID

STARTS_PER_TURN = 4
"""This many requests start in one turn of the event loop: one or two milliseconds of work."""


async def admit(request: Request, backends: Backends) -> str:
    """Returns the id of the client, by which the queue takes turns: its key's digest, or its address without keys.

    Raises:
        ServiceError: OVERLOADED, if every backend would refuse the request. Its body was read and thrown away.
    """
    client_id = request.scope.get(CLIENT_ID) or (request.client.host if request.client else "")
    try:
        backends.require_room(client_id)
    except ServiceError:
        await drain(request.receive)
        raise
    return client_id


def expected_s(size_bytes: int) -> float:
    """An estimate of the seconds of audio in an upload's first segment: exact for canonical WAV, else too low."""
    return min(MAX_SEGMENT_S, size_bytes / BYTES_PER_SECOND)


class StartLimiter:
    """Starts at most `per_turn` requests in one turn of the event loop and the others in order in the turns after it,
    so that nothing else waits for a whole burst of requests."""

    def __init__(self, per_turn: int = STARTS_PER_TURN) -> None:
        self._per_turn = per_turn
        self._left = per_turn
        self._has_next_turn = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def start(self) -> None:
        """Returns when the request may start."""
        if self._left and not self._waiting:
            self._take()
            return
        self._waiting.append(turn := asyncio.get_running_loop().create_future())
        await turn

    def _take(self) -> None:
        self._left -= 1
        if not self._has_next_turn:
            self._has_next_turn = True
            asyncio.get_running_loop().call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._left, self._has_next_turn = self._per_turn, False
        while self._left and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # done if its task was cancelled
                turn.set_result(None)
                self._take()
