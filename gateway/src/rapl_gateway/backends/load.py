"""The segments queued for a backend, how much audio they have, and the backend's measured speed. The `retry-after` of a
429 is computed from the last two."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ServiceError
from rapl_protocol.transcript import TranscribeOptions

from rapl_gateway.backends.replica import Replica
from rapl_gateway.backends.retry import Attempts
from rapl_gateway.timing import Stopwatch

_MEMORY_S = 60.0
"""Seconds of work, of all replicas together, after which earlier measurements count half."""


@dataclass(frozen=True, slots=True)
class CallOptions:
    """The client, the deadline and the fallback of a call to an engine."""

    client_id: str
    """The queue takes turns between clients."""
    deadline_s: float
    request_id: str | None
    has_fallback: bool
    """Whether another model is used if this one cannot be reached."""
    is_partial: bool = False
    """Whether it is a pass over a turn that is still open. Such passes wait for short segments. They do not count for
    the limit of the queue, because they stop when the turn ends."""
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    """Measures the stages `queue` and `infer`."""
    on_assigned: Callable[[], None] | None = None
    """Called when a replica gets the segment, at each attempt."""


@dataclass(eq=False, slots=True)
class QueuedSegment:
    """Audio that is to be transcribed by one model."""

    model: str
    audio_s: float
    is_long: bool
    call: CallOptions
    deadline: float
    """The time at which the segment fails with BACKEND_TIMEOUT, on the event loop's clock."""
    assigned: asyncio.Future[Replica] = field(init=False)
    is_done: bool = False
    attempts: Attempts = field(default_factory=Attempts)
    starts_after: int = 0
    """How many segments its replica must transcribe in all before it can begin with this one."""
    not_ready: ServiceError | None = None
    """The last MODEL_NOT_READY error of a replica, if there was one."""

    def time_left_s(self) -> float:
        return self.deadline - now()

    @property
    def counted_s(self) -> float:
        """Seconds of audio that count for the limit of the queue."""
        return 0.0 if self.call.is_partial else self.audio_s


def queued(audio: WavAudio, options: TranscribeOptions, call: CallOptions) -> QueuedSegment:
    return QueuedSegment(options.model, audio.duration_s, options.is_long, call, now() + call.deadline_s)


def now() -> float:
    """Returns the time on the event loop's clock."""
    return asyncio.get_running_loop().time()


class Throughput:
    """Measures how many seconds of audio a replica transcribes in one second of work, in the mean of all replicas. Idle
    replicas do not count, so that one that works alone says what all can do."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._working = 0
        self._since = 0.0
        self._work_s = self._done_s = 0.0

    def begin(self, *, was_idle: bool) -> None:
        """Counts a segment that a replica gets. `was_idle`: whether it had none before."""
        self._count_work()
        self._working += was_idle

    def end(self, audio_s: float, *, is_idle: bool) -> None:
        """Counts a segment that has ended.

        Args:
            audio_s: seconds of audio that were transcribed; 0 if the work was cancelled or failed.
            is_idle: whether the replica has no segment any more.
        """
        self._count_work()
        self._working -= is_idle
        self._done_s += audio_s
        if self._work_s > _MEMORY_S:
            self._work_s /= 2
            self._done_s /= 2

    def time_s(self, audio_s: float) -> float | None:
        """Returns how many seconds one replica takes for `audio_s` seconds of audio; None before the first
        measurement."""
        return audio_s * self._work_s / self._done_s if self._done_s else None

    def _count_work(self) -> None:
        now = self._clock()
        self._work_s += self._working * (now - self._since)
        self._since = now


class QueuedAudio:
    """Seconds of audio that a backend has accepted and not finished, in total and for each client."""

    def __init__(self) -> None:
        self._by_client: Counter[str] = Counter()
        self.total_s = 0.0

    def add(self, client_id: str, audio_s: float) -> None:
        if not audio_s:
            return  # the client must not count as one that has audio queued
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
