"""Spreads what begins at the same moment over turns of the event loop, so that nothing else waits behind all of it."""

import asyncio
from collections import deque

AT_ONCE = 4
"""So many requests begin in one turn of the event loop: one or two milliseconds of work."""


class Doorway:
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
