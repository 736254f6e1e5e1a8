"""Simulates replicas and gateways with the rules of the real ones, in simulated time.

* An engine computes one segment at a time: short ones before long ones (`FairQueue`, as in `InferenceWorker`).
* A gateway keeps segments in a `FairQueue` of its own, and sends a replica what it can work on and a few more, to the
  replica that has the least audio of this gateway, as in `rapl_gateway.backends.scheduler`.
* A recording has one segment more in progress than the replicas compute at once, and its segments end in order, as in
  `rapl_gateway.transcription.prefetch`.
"""

import random
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import simpy
from rapl_service.fair_queue import FairQueue

LONG_PREFETCH, SHORT_PREFETCH = 1, 8
"""As in `rapl_gateway.backends.scheduler`; a test compares them."""
MEMORY_S = 60.0
"""As in `rapl_gateway.backends.load`."""
INTERACTIVE_S = 25.0
"""As in `rapl_gateway.transcription.segment_task`."""

Steps = Generator[simpy.Event, Any, None]


@dataclass(eq=False, slots=True)
class SimulatedSegment:
    audio_s: float
    is_long: bool
    client_id: str
    done: simpy.Event


@dataclass(eq=False)
class SimulatedEngine:
    """A replica. `pace` is its time for one second of audio, in seconds."""

    environment: simpy.Environment
    pace: float
    is_leaving: bool = False
    """Whether it gets no new segments; it finishes those that it has."""
    _waiting: FairQueue[SimulatedSegment] = field(default_factory=FairQueue[SimulatedSegment])
    _done_s: float = 0.0
    _began_at: float | None = None

    def transcribe(self, segment: SimulatedSegment) -> None:
        self._waiting.add(segment, is_long=segment.is_long)
        if self._began_at is None:
            self.environment.process(self._work())

    def worked_audio_s(self) -> float:
        part_s = self.environment.now - self._began_at if self._began_at is not None else 0.0
        return self._done_s + part_s / self.pace

    def _work(self) -> Steps:
        while segment := self._waiting.take():
            self._began_at = self.environment.now
            yield self.environment.timeout(segment.audio_s * self.pace)
            self._done_s += segment.audio_s
            self._began_at = None
            segment.done.succeed()


@dataclass(eq=False, slots=True)
class _Known:
    """What a gateway knows of a replica: the segments that it sent there itself."""

    engine: SimulatedEngine
    segments: int = 0
    audio_s: float = 0.0

    def has_room(self, prefetch: int) -> bool:
        return self.segments < 1 + prefetch and not self.engine.is_leaving


class SimulatedGateway:
    """Args: engines: its replicas; random_source: chooses among equal ones."""

    def __init__(
        self, environment: simpy.Environment, engines: Iterable[SimulatedEngine], random_source: random.Random
    ) -> None:
        self._environment = environment
        self._random = random_source.random
        self._known = [_Known(engine) for engine in engines]
        self._waiting: FairQueue[SimulatedSegment] = FairQueue()
        self.queued_s = 0.0
        """Seconds of audio that it has accepted and not finished."""
        self.done_s = 0.0
        self._since = self._work_s = self._recent_s = 0.0

    def wait_s(self) -> float:
        """Returns `queued_s`, divided by the measured throughput of all replicas, as in
        `rapl_gateway.backends.scheduler`."""
        return self.queued_s * self._work_s / self._recent_s / len(self._known) if self._recent_s else 0.0

    def add(self, engine: SimulatedEngine) -> None:
        self._known.append(_Known(engine))
        self._assign_waiting()

    def remove(self, engine: SimulatedEngine) -> None:
        self._known = [known for known in self._known if known.engine is not engine]

    def transcribe(self, audio_s: float, *, is_long: bool, client_id: str = "") -> simpy.Event:
        """Queues a segment. Returns the event of its end."""
        segment = SimulatedSegment(audio_s, is_long, client_id, self._environment.event())
        self.queued_s += audio_s
        self._waiting.add(segment, is_long=is_long, client_id=client_id)
        self._assign_waiting()
        return segment.done

    def recording(self, segments: Sequence[tuple[float, float]], client_id: str = "") -> Steps:
        """Transcribes a recording. `segments`: when preprocess-service has each, and its length, in seconds."""
        began, position_s = self._environment.now, 0.0
        width = len(self._known) + 1
        started: list[simpy.Event] = []
        for number, (at_s, audio_s) in enumerate(segments):
            if number >= width:
                yield started[number - width]
            if (wait_s := began + at_s - self._environment.now) > 0:
                yield self._environment.timeout(wait_s)
            position_s += audio_s
            started.append(self.transcribe(audio_s, is_long=position_s > INTERACTIVE_S, client_id=client_id))
        yield self._environment.all_of(started)

    def _assign_waiting(self) -> None:
        while segment := self._next():
            self._assign(segment)

    def _next(self) -> SimulatedSegment | None:
        if not self._waiting:
            return None
        if any(known.has_room(LONG_PREFETCH) for known in self._known):
            return self._waiting.take()
        has_room = any(known.has_room(SHORT_PREFETCH) for known in self._known)
        return self._waiting.take_short() if has_room else None

    def _assign(self, segment: SimulatedSegment) -> None:
        prefetch = LONG_PREFETCH if segment.is_long else SHORT_PREFETCH
        free = (known for known in self._known if known.has_room(prefetch))
        known = min(free, key=lambda each: (each.audio_s, self._random()))
        self._count_work()
        known.segments += 1
        known.audio_s += segment.audio_s
        assert segment.done.callbacks is not None
        segment.done.callbacks.insert(0, lambda _: self._release(known, segment))
        known.engine.transcribe(segment)

    def _release(self, known: _Known, segment: SimulatedSegment) -> None:
        self._count_work()
        known.segments -= 1
        known.audio_s = known.audio_s - segment.audio_s if known.segments else 0.0
        self.queued_s = max(0.0, self.queued_s - segment.audio_s)
        self.done_s += segment.audio_s
        self._measure(segment.audio_s)
        self._assign_waiting()

    def _measure(self, audio_s: float) -> None:
        """Measures the throughput of the replicas that work; earlier measurements count less."""
        self._recent_s += audio_s
        if self._work_s > MEMORY_S:
            self._work_s, self._recent_s = self._work_s / 2, self._recent_s / 2

    def _count_work(self) -> None:
        self._work_s += sum(known.segments > 0 for known in self._known) * (self._environment.now - self._since)
        self._since = self._environment.now
