"""A segment in the queue of a backend, and the call that it belongs to."""

import asyncio
from dataclasses import dataclass, field

from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ServiceError
from rapl_protocol.transcript import TranscribeOptions

from rapl_gateway.backends.replica import Replica
from rapl_gateway.backends.retry import Attempts
from rapl_gateway.timing import Stopwatch


@dataclass(frozen=True, slots=True)
class CallOptions:
    """The client, the deadline and the fallback of a call to an engine."""

    client_id: str
    """The queue takes turns between clients."""
    deadline_s: float
    request_id: str | None
    has_fallback: bool
    """Whether another model is used if this one cannot be reached."""
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    """Measures the stages `queue` and `infer`."""


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
    not_ready: ServiceError | None = None
    """The last MODEL_NOT_READY error of a replica, if there was one."""

    def time_left_s(self) -> float:
        return self.deadline - now()


def queued(audio: WavAudio, options: TranscribeOptions, call: CallOptions) -> QueuedSegment:
    return QueuedSegment(options.model, audio.duration_s, options.is_long, call, now() + call.deadline_s)


def now() -> float:
    """Returns the time on the event loop's clock."""
    return asyncio.get_running_loop().time()
