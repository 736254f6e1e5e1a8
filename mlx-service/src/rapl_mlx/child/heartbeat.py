"""Detects a process that does not answer: a deadline for its work, and pings meanwhile."""

import asyncio
from asyncio import TimerHandle
from collections.abc import Callable

PING_EVERY_S = 1.0
SILENCE_LIMIT_S = 10.0
"""The child answers pings in a separate thread: while MLX computed for 13 to 24 s (`eval`, `item`, `tolist`, numpy;
0.32.4), no pong took more than 0.22 s. So pings do not detect a GPU that hangs; only the deadline does."""


class Deadline:
    """One timer, restarted for each phase. Use it in one event loop."""

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
    """Sends pings while a request runs. Use it in one event loop.

    Args:
        ping: sends a ping.
        on_silence: called once if `reset` was not called for `SILENCE_LIMIT_S`.
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
        """Restarts the silence limit. Call it for every frame of the process."""
        self._silent_s = 0.0

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _next(self) -> None:
        self._ping()
        self._timer = asyncio.get_running_loop().call_later(PING_EVERY_S, self._check)

    def _check(self) -> None:
        # Counts ticks and not clock time: if the machine sleeps, both processes are suspended, and no pong is missing.
        self._silent_s += PING_EVERY_S
        if self._silent_s >= SILENCE_LIMIT_S:
            self.stop()
            self._on_silence()
        else:
            self._next()
