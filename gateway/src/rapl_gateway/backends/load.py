"""How fast a backend works, as measured, and how much it has before it: what a 429's `retry-after` is made of."""

import time
from collections import Counter
from collections.abc import Callable

_MEMORY_S = 60.0
"""Of work; what is older counts less and less."""


class Throughput:
    """Seconds of audio that a backend gets done in a second in which it has work."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at_work = 0
        self._since = 0.0
        self._busy_s = self._done_s = 0.0

    def begin(self) -> None:
        if self._at_work == 0:
            self._since = self._clock()
        self._at_work += 1

    def end(self, audio_s: float) -> None:
        """`audio_s` seconds of audio are done; 0 where the work was given up."""
        now = self._clock()
        self._busy_s += now - self._since
        self._since = now
        self._at_work -= 1
        self._done_s += audio_s
        if self._busy_s > _MEMORY_S:
            self._busy_s /= 2
            self._done_s /= 2

    def time_s(self, audio_s: float) -> float | None:
        """How long so much audio takes; None where nothing was measured."""
        return audio_s * self._busy_s / self._done_s if self._done_s else None


class QueuedAudio:
    """Seconds of audio that a backend has before it, and whose they are."""

    def __init__(self) -> None:
        self._by_share: Counter[str] = Counter()
        self.total_s = 0.0

    def add(self, share: str, audio_s: float) -> None:
        self.total_s += audio_s
        self._by_share[share] += audio_s  # type: ignore[assignment]  # typeshed's counters count whole things

    def remove(self, share: str, audio_s: float) -> None:
        self.add(share, -audio_s)
        if self._by_share[share] < 1e-6:
            del self._by_share[share]
        if not self._by_share:
            self.total_s = 0.0  # sums of fractions do not come back to 0 by themselves

    def of(self, share: str) -> float:
        return self._by_share[share]

    def shares(self, share: str) -> int:
        """Of how many the load is, with this one."""
        return len(self._by_share.keys() | {share})
