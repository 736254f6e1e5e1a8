"""Admission of requests: refuses a request if the queue is full, and limits how many requests start at once."""

import asyncio
from collections import deque

from rapl_protocol.audio import BYTES_PER_SECOND
from rapl_protocol.errors import ServiceError
from rapl_protocol.prepared import MAX_SEGMENT_S
from rapl_service.http.body import drain
from starlette.requests import Request

from rapl_gateway.backends.backend import Backends
from rapl_gateway.security.api_keys import client_id_of

STARTS_PER_TURN = 4
"""Most requests that start in one turn of the event loop. Together they take one or two milliseconds."""


async def admit(request: Request, backends: Backends) -> str:
    """Admits a request and returns the id of its client. The queue takes turns between client ids.

    The id is the digest of the client's API key, or the client's address if the gateway has no keys.

    Raises:
        ServiceError: OVERLOADED, if every backend would refuse the request. The body has been read and discarded.
    """
    client_id = client_id_of(request)
    try:
        backends.require_room(client_id)
    except ServiceError:
        await drain(request.receive)
        raise
    return client_id


def expected_s(size_bytes: int) -> float:
    """Estimates the seconds of audio in an upload's first segment: exact for a canonical WAV, too low otherwise."""
    return min(MAX_SEGMENT_S, size_bytes / BYTES_PER_SECOND)


class StartLimiter:
    """Spreads a burst of requests over several turns of the event loop, so that other work does not wait for all of
    them. At most `per_turn` requests start in one turn; the others start in later turns, in order."""

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
