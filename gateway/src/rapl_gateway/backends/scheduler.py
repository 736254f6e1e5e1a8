"""The queue of one backend: assigns each segment to a replica that has room for it.

Short segments go first, then passes over open turns, then segments of long recordings, and clients take turns
(`FairQueue`). If several replicas have room, the one with the least audio gets the segment. `retry.py` defines what
happens after a failure.

Several gateways may use the same replicas, and each knows only its own segments. So it takes a random one of replicas
that are equal for it, and a segment that a replica refuses because its queue is full waits here.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing

from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.transcript import TranscribeOptions, Transcript
from rapl_service.calls.remedies import SEND_AGAIN
from rapl_service.fair_queue import FairQueue
from rapl_service.telemetry.tracing import span

from rapl_gateway.backends.load import CallOptions, QueuedAudio, QueuedSegment, Throughput, now, queued
from rapl_gateway.backends.replica import Replica
from rapl_gateway.backends.retry import RestartWindow
from rapl_gateway.timing import Stage

LONG_PREFETCH, SHORT_PREFETCH = 1, 8
"""How many segments a replica gets in addition to those that it works on, so that it never waits for the next one. It
gets few segments of long recordings: the others wait in this queue, where short segments overtake them."""
_MAX_RELEASE_DELAY_S = 30.0

log = logging.getLogger("rapl")


class Scheduler:
    """The queue of one backend.

    Args:
        name: the backend's name, for messages.
        restart_wait_s: how long a segment waits for a replica to restart, in seconds since the model was last ready.
        parallel: how many segments a replica works on at once; None uses the number that the replica reports.
    """

    def __init__(self, name: str, restart_wait_s: float, parallel: int | None = None) -> None:
        self.replicas: list[Replica] = []
        self.queued = QueuedAudio()
        self.throughput = Throughput()
        self.done_audio_s = 0.0
        """Seconds of audio that have been transcribed."""
        self.failures: Counter[str] = Counter()
        """Calls that failed, by error code."""
        self.retries: Counter[str] = Counter()
        """Calls that were sent again, by the error code of the failure."""
        self.fallbacks = 0
        """How often a request changed to another model because of a failure here."""
        self._name = name
        self._restart_wait_s = restart_wait_s
        self._parallel = parallel
        self._waiting: FairQueue[QueuedSegment] = FairQueue()
        self._without_replica: list[QueuedSegment] = []
        """Segments that no reachable replica has room for now."""
        self._restart_windows: dict[str, RestartWindow] = {}
        """By model; only for models that were ready: requests may name any number of others."""

    async def transcribe(self, audio: WavAudio, options: TranscribeOptions, call: CallOptions) -> Transcript:
        """Returns the transcript of a segment.

        Raises:
            ServiceError: the replica's own error, or BACKEND_TIMEOUT if no replica was free before the deadline.
        """
        segment = queued(audio, options, call)
        while True:
            async with Lease(self, segment) as replica:
                try:
                    with span("segment", backend=self._name, audio_s=segment.audio_s):
                        answer = replica.client.transcribe(
                            audio, options, deadline_s=segment.time_left_s(), request_id=call.request_id
                        )
                        transcript = await replica.interruptible(answer)
                    segment.is_done = True
                    return transcript
                except ServiceError as error:
                    self._require_retry(segment, replica, error)

    async def stream(
        self, audio: WavAudio, options: TranscribeOptions, call: CallOptions
    ) -> AsyncGenerator[str | Transcript, None]:
        """Yields the words and the transcript of a segment. There is no retry after the first text.

        Raises:
            ServiceError: as in `transcribe`.
        """
        segment = queued(audio, options, call)
        while True:
            has_begun = False
            async with Lease(self, segment) as replica:
                texts = replica.client.stream(
                    audio, options, deadline_s=segment.time_left_s(), request_id=call.request_id
                )
                try:
                    with span("segment", backend=self._name, audio_s=segment.audio_s):
                        async with aclosing(texts):
                            async for text in texts:
                                has_begun = True
                                segment.is_done = isinstance(text, Transcript)
                                yield text
                    return
                except ServiceError as error:
                    if has_begun:
                        raise
                    self._require_retry(segment, replica, error)

    @property
    def waiting_segments(self) -> int:
        return len(self._waiting) + len(self._without_replica)

    def slots(self) -> int:
        """Returns how many segments all reachable replicas together work on at once."""
        return sum(self._slots(replica) for replica in self.replicas if replica.problem is None)

    def time_s(self, audio_s: float) -> float | None:
        """Returns how many seconds all reachable replicas together take for `audio_s` seconds of audio; None before the
        first measurement."""
        one_replica_s = self.throughput.time_s(audio_s)
        reachable = sum(replica.problem is None for replica in self.replicas)
        return one_replica_s and one_replica_s / max(1, reachable)

    def schedule(self) -> None:
        """Assigns waiting segments to replicas. It must be called after every change of a replica."""
        for replica in self.replicas:
            for info in replica.models:
                if replica.is_ready(info.id):
                    self._mark_ready(info.id)
        self._interrupt_unreachable()
        self._assign_waiting()

    async def assigned(self, segment: QueuedSegment) -> Replica:
        """Waits until a replica has room for the segment, and returns the replica."""
        segment.assigned = asyncio.Future()
        self._enqueue(segment)
        self._assign_waiting()
        if segment.assigned.done():
            return segment.assigned.result()
        try:
            async with asyncio.timeout_at(segment.deadline):
                return await segment.assigned
        except TimeoutError as error:
            self._withdraw(segment)
            message = f"{self._name}: the queue is too long to answer before the deadline."
            raise ServiceError(ErrorCode.BACKEND_TIMEOUT, message, remedy=SEND_AGAIN) from error
        except asyncio.CancelledError:
            self._withdraw(segment)
            raise

    def release(self, replica: Replica, segment: QueuedSegment) -> None:
        """Ends a lease and assigns the free place to the next segment."""
        self.queued.remove(segment.call.client_id, segment.counted_s)
        self._free(replica, segment)

    def remaining_s(self, segment: QueuedSegment, began: float) -> float:
        """Estimates how many seconds a replica will still work on a segment that it got at `began`, at most
        _MAX_RELEASE_DELAY_S."""
        whole_s = (self.time_s(segment.audio_s) or 0.0) * max(1, self.slots())
        return min(_MAX_RELEASE_DELAY_S, max(0.0, whole_s - (now() - began)))

    def _enqueue(self, segment: QueuedSegment) -> None:
        call = segment.call
        self._waiting.add(segment, is_long=segment.is_long, is_partial=call.is_partial, client_id=call.client_id)

    def _assign_waiting(self) -> None:
        again, self._without_replica = self._without_replica, []
        for segment in again:
            self._enqueue(segment)
        while segment := self._next():
            if not segment.assigned.done():
                self._assign(segment)

    def _next(self) -> QueuedSegment | None:
        """Returns the next segment that a replica may have room for; None if there is none. If no replica can be
        reached, it returns every segment, and `_assign` lets it fail or wait for a restart."""
        if not self._waiting:
            return None
        reachable = [replica for replica in self.replicas if replica.problem is None]
        if not reachable or any(self._has_room(replica, LONG_PREFETCH) for replica in reachable):
            return self._waiting.take()
        has_room = any(self._has_room(replica, SHORT_PREFETCH) for replica in reachable)
        return self._waiting.take_short() if has_room else None

    def _assign(self, segment: QueuedSegment) -> None:
        able = [replica for replica in self.replicas if replica.may_serve(segment.model)]
        if not able and not self._may_recover(segment):
            if segment.not_ready is None:  # a reachable replica returns the error for a model that it does not have
                able = [replica for replica in self.replicas if replica.problem is None]
            if not able:
                segment.assigned.set_exception(self._failure(segment))
                return
        prefetch = LONG_PREFETCH if segment.is_long else SHORT_PREFETCH
        free = [replica for replica in able if self._has_room(replica, prefetch)]
        if not free:
            self._without_replica.append(segment)
            return
        # Without the random number, every idle gateway would send its next segment to the same replica.
        replica = min(free, key=lambda each: (not each.is_ready(segment.model), each.audio_s, random.random()))
        self.throughput.begin(was_idle=not replica.segments)
        segment.starts_after = replica.starts_after(self._slots(replica), is_long=segment.is_long)
        replica.assign(segment.audio_s, is_long=segment.is_long)
        segment.assigned.set_result(replica)

    def _free(self, replica: Replica, segment: QueuedSegment) -> None:
        replica.release(segment.audio_s, is_long=segment.is_long, is_done=segment.is_done)
        self.throughput.end(segment.audio_s if segment.is_done else 0.0, is_idle=not replica.segments)
        if segment.is_done:
            self.done_audio_s += segment.audio_s
            self._mark_ready(segment.model)
        self._assign_waiting()

    def _withdraw(self, segment: QueuedSegment) -> None:
        """Removes a segment from the queue. If it was assigned in the same turn of the event loop, its place is
        freed."""
        assigned = segment.assigned
        if assigned.done() and not assigned.cancelled() and assigned.exception() is None:
            self._free(assigned.result(), segment)
        assigned.cancel()

    def _require_retry(self, segment: QueuedSegment, replica: Replica, error: ServiceError) -> None:
        """Marks the replica after a failure. Raises the error if the segment must not be sent again."""
        is_full = replica.refused_as_full(error)
        if error.code is ErrorCode.MODEL_NOT_READY:
            segment.not_ready = error
            replica.mark_not_ready(segment.model)
        elif error.code is ErrorCode.BACKEND_UNAVAILABLE:
            replica.mark_unreachable(error)
        elif is_full:
            replica.mark_full()
        self.failures[error.code.value] += 1
        # Another server may work on all that it has at once.
        was_waiting = replica.client.has_bounded_queue and replica.done < segment.starts_after
        if not is_full and not segment.attempts.may_retry(error, was_waiting=was_waiting):
            raise error
        self.retries[error.code.value] += 1
        # An engine stays full for as long as it is busy, and each of its segments finds that out.
        level = logging.DEBUG if is_full else logging.WARNING
        line = "backend=%s address=%s error=%s: retry of a segment"
        log.log(level, line, self._name, replica.address, error.code.value)

    def _may_recover(self, segment: QueuedSegment) -> bool:
        """Returns whether a segment that no replica can take now should wait. It waits if its model was ready a moment
        ago, or if a replica is loading the model again."""
        window = self._restart_windows.get(segment.model)
        if window is None:
            return False
        if window.is_open(is_long=segment.is_long):
            return True
        is_loading = any(replica.is_loading(segment.model) for replica in self.replicas)
        return is_loading and not segment.call.has_fallback

    def _mark_ready(self, model: str) -> None:
        if model not in self._restart_windows:
            self._restart_windows[model] = RestartWindow(self._restart_wait_s)
        self._restart_windows[model].mark_ready()

    def _failure(self, segment: QueuedSegment) -> ServiceError:
        error = segment.not_ready or next(replica.problem for replica in self.replicas if replica.problem)
        return ServiceError(error.code, error.message, param=error.param, retry_after_s=error.retry_after_s)

    def _interrupt_unreachable(self) -> None:
        """Ends the calls to replicas that no longer answer, if another replica can take the retry."""
        if any(replica.problem is None for replica in self.replicas):
            for replica in self.replicas:
                if replica.problem and replica.problem.code is ErrorCode.BACKEND_TIMEOUT:
                    replica.interrupt()

    def _has_room(self, replica: Replica, prefetch: int) -> bool:
        return not replica.is_full and replica.segments < self._slots(replica) + prefetch

    def _slots(self, replica: Replica) -> int:
        return self._parallel or replica.parallel


class Lease:
    """Waits for a replica, and holds one of its places for the segment until the context ends."""

    def __init__(self, scheduler: Scheduler, segment: QueuedSegment) -> None:
        self._scheduler = scheduler
        self._segment = segment

    async def __aenter__(self) -> Replica:
        scheduler, segment = self._scheduler, self._segment
        scheduler.queued.add(segment.call.client_id, segment.counted_s)
        try:
            with segment.call.stopwatch.stage(Stage.QUEUE):
                self._replica = await scheduler.assigned(segment)
        except BaseException:
            scheduler.queued.remove(segment.call.client_id, segment.counted_s)
            raise
        self._began = now()
        segment.call.stopwatch.count(Stage.INFER, 1)
        if segment.call.on_assigned:
            segment.call.on_assigned()
        return self._replica

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        scheduler, segment = self._scheduler, self._segment
        segment.call.stopwatch.count(Stage.INFER, -1)
        if isinstance(error, asyncio.CancelledError | GeneratorExit) and not segment.is_done:
            # The replica may still work on it, so its place is freed only when that work has probably ended.
            remaining_s = scheduler.remaining_s(segment, self._began)
            asyncio.get_running_loop().call_later(remaining_s, scheduler.release, self._replica, segment)
        else:
            scheduler.release(self._replica, segment)
