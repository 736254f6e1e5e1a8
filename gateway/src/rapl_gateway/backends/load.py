"""The measured speed of a backend, and the audio queued for it. The `retry-after` of a 429 is computed from both."""

import time
from collections import Counter
from collections.abc import Callable

_MEMORY_S = 60.0
"""Seconds of work after which earlier measurements count half."""


class Throughput:
    """Measures how many seconds of audio a backend transcribes in one second of work."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._running = 0
        self._since = 0.0
        self._busy_s = self._done_s = 0.0

    def begin(self) -> None:
        if self._running == 0:
            self._since = self._clock()
        self._running += 1

    def end(self, audio_s: float) -> None:
        """Counts `audio_s` seconds of transcribed audio; 0 if the work was cancelled or failed."""
        now = self._clock()
        self._busy_s += now - self._since
        self._since = now
        self._running -= 1
        self._done_s += audio_s
        if self._busy_s > _MEMORY_S:
            self._busy_s /= 2
            self._done_s /= 2

    def time_s(self, audio_s: float) -> float | None:
        """Returns how many seconds of work `audio_s` seconds of audio take; None before the first measurement."""
        return audio_s * self._busy_s / self._done_s if self._done_s else None


class QueuedAudio:
    """Seconds of audio that a backend has accepted and not finished, in total and for each client."""

    def __init__(self) -> None:
        self._by_client: Counter[str] = Counter()
        self.total_s = 0.0

    def add(self, client_id: str, audio_s: float) -> None:
        self.total_s += audio_s
        self._by_client[client_id] += audio_s  # type: ignore[assignment]  # typeshed's counters count integers

    def remove(self, client_id: str, audio_s: float) -> None:
        self.add(client_id, -audio_s)
        if self._by_client[client_id] < 1e-6:
            del self._by_client[client_id]
        if not self._by_client:
            self.total_s = 0.0  # sums of floats do not return to exactly 0

    def of(self, client_id: str) -> float:
        return self._by_client[client_id]

    def clients(self, client_id: str) -> int:
        """Returns how many clients have audio queued. `client_id` is always counted."""
        return len(self._by_client.keys() | {client_id})
