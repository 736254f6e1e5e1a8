"""Watches over a process that ought to answer: a deadline for its work, and a sign of life meanwhile."""

import asyncio
from asyncio import TimerHandle
from collections.abc import Callable

PING_EVERY_S = 1.0
SILENCE_LIMIT_S = 10.0
"""The child answers pings from a thread that waits for nothing else: while MLX computed for 13 to 24 s (`eval`, `item`,
`tolist`, numpy; 0.32.4) it was silent for 0.22 s at most. So a GPU that hangs is found by the deadline only."""


class Deadline:
    """One timer, started anew for each phase. To be used in one event loop."""

    def __init__(self) -> None:
        self._timer: TimerHandle | None = None

    def start(self, delay_s: float, on_timeout: Callable[[], None]) -> None:
        self.stop()
        self._timer = asyncio.get_running_loop().call_later(delay_s, on_timeout)

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None


class Heartbeat:
    """Pings while a request runs. To be used in one event loop.

    Args:
        ping: asks for a sign of life.
        on_silence: is called once when none came for `SILENCE_LIMIT_S`.
    """

    def __init__(self, ping: Callable[[], None], on_silence: Callable[[], None]) -> None:
        self._ping = ping
        self._on_silence = on_silence
        self._timer: TimerHandle | None = None
        self._silent_s = 0.0

    def start(self) -> None:
        self.stop()
        self._silent_s = 0.0
        self._next()

    def reset(self) -> None:
        self._silent_s = 0.0

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _next(self) -> None:
        self._ping()
        self._timer = asyncio.get_running_loop().call_later(PING_EVERY_S, self._look)

    def _look(self) -> None:
        # Counted in ticks of our own: where this process stood still too, as in a machine's sleep, none are missing.
        self._silent_s += PING_EVERY_S
        if self._silent_s >= SILENCE_LIMIT_S:
            self.stop()
            self._on_silence()
        else:
            self._next()
