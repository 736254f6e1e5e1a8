"""One process of an engine: the models that it last reported, whether it can be reached, and how much work it has."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.models import ModelInfo, ModelList, ModelState
from rapl_protocol.transcript import TranscribeOptions, Transcript
from rapl_service.calls.call import Service, unavailable

PROBE_INTERVAL_S = 0.5
"""Seconds between two polls of a replica that cannot be reached."""
FULL_PAUSE_S = 0.5
"""Seconds without new segments for a replica whose own queue is full. Other gateways fill it too."""
_MAX_TIMEOUTS = 2
"""After this many polls in a row that time out, the replica counts as unreachable. A single poll may time out because
all of the replica's cores are busy."""

log = logging.getLogger("rapl")

T = TypeVar("T")


class EngineClient(Protocol):
    """The interface through which the gateway calls one engine process."""

    service: Service
    poll_interval_s: float
    has_bounded_queue: bool
    """Whether OVERLOADED with a `retry_after_s` means that the engine's queue is full now. Another server may mean by
    it that the key has used up its quota."""

    async def transcribe(
        self, audio: WavAudio, options: TranscribeOptions, *, deadline_s: float, request_id: str | None = None
    ) -> Transcript: ...

    def stream(
        self, audio: WavAudio, options: TranscribeOptions, *, deadline_s: float, request_id: str | None = None
    ) -> AsyncGenerator[str | Transcript, None]: ...

    async def report(self) -> ModelList: ...

    async def load(self, model_id: str) -> ModelInfo: ...

    async def unload(self, model_id: str) -> ModelInfo: ...

    async def remove(self, model_id: str) -> ModelInfo: ...


@dataclass(eq=False)
class Replica:
    client: EngineClient
    on_change: Callable[[], None]
    """Called after every poll."""
    models: list[ModelInfo] = field(default_factory=list[ModelInfo])
    """As last reported; kept while the replica cannot be reached, so that its models stay in the list."""
    parallel: int = 1
    """How many segments the replica works on at once, as it last reported."""
    memory_bytes: int | None = None
    """Memory of all of the replica's processes, as it last reported; None if it reports none."""
    version: str | None = None
    """The version of RAPL that it has, as it last reported; None if it is another program."""
    problem: ServiceError | None = None
    """Why the replica gets no requests now; None if it gets requests."""
    was_polled: bool = False
    was_reached: bool = False
    """Whether a poll has ever succeeded."""
    segments: int = 0
    """How many segments the replica has, both in progress and in its own queue."""
    short_segments: int = 0
    """Those of them that are not long."""
    done: int = 0
    """How many segments the replica has transcribed."""
    audio_s: float = 0.0
    """Seconds of audio in these segments."""
    is_full: bool = False
    """Whether the replica's own queue was full a moment ago. It then gets no segments for FULL_PAUSE_S, or until one
    that it has ends."""
    not_ready: set[str] = field(default_factory=set[str])
    """Models for which the replica returned MODEL_NOT_READY. A poll that reports a model as ready removes it here."""
    _timeouts: int = 0
    _poll_now: asyncio.Event = field(default_factory=asyncio.Event)
    _calls: set[asyncio.Timeout] = field(default_factory=set[asyncio.Timeout])

    @property
    def address(self) -> str:
        return self.client.service.base_url

    def info(self, model: str) -> ModelInfo | None:
        return next((info for info in self.models if info.id == model), None)

    def may_serve(self, model: str) -> bool:
        return self.problem is None and model not in self.not_ready

    def is_ready(self, model: str) -> bool:
        info = self.info(model)
        return self.may_serve(model) and info is not None and info.state is ModelState.READY

    def is_loading(self, model: str) -> bool:
        info = self.info(model)
        return self.problem is None and info is not None and info.state is ModelState.LOADING

    def refused_as_full(self, error: ServiceError) -> bool:
        """Returns whether this error of the replica says that its queue is full now."""
        is_queue = error.code is ErrorCode.OVERLOADED and error.retry_after_s is not None and error.param is None
        return is_queue and self.client.has_bounded_queue

    def assign(self, audio_s: float, *, is_long: bool) -> None:
        """Counts a segment that is sent to the replica."""
        self.segments += 1
        self.short_segments += not is_long
        self.audio_s += audio_s

    def release(self, audio_s: float, *, is_long: bool, is_done: bool) -> None:
        """Stops counting a segment that has ended."""
        self.is_full = self.is_full and not is_done
        self.done += is_done
        self.segments -= 1
        self.short_segments -= not is_long
        self.audio_s = self.audio_s - audio_s if self.segments else 0.0

    def starts_after(self, slots: int, *, is_long: bool) -> int:
        """Returns `done` from which on a segment that is sent now may be in work: the replica first takes the short
        ones that it has, and for a long segment all of them. It works on `slots` segments at once."""
        ahead = self.segments if is_long else max(self.short_segments, min(self.segments, slots))
        return self.done + max(0, ahead - slots + 1)

    async def watch(self) -> None:
        """Polls the replica for its models until the task is cancelled. After a failed request it polls at once."""
        while True:
            await self.refresh()
            interval_s = PROBE_INTERVAL_S if self.problem or self.not_ready else self.client.poll_interval_s
            self._poll_now.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(interval_s):
                    await self._poll_now.wait()

    async def refresh(self) -> None:
        """Polls the replica once."""
        try:
            report = await self.client.report()
        except ServiceError as error:
            self._timeouts += 1
            if error.code is not ErrorCode.BACKEND_TIMEOUT or self._timeouts >= _MAX_TIMEOUTS:
                self._set_problem(error)
        else:
            self.models = report.models
            self.memory_bytes, self.version = _memory_bytes(report), report.version
            self.parallel = max((info.parallel for info in self.models), default=1)
            self.not_ready &= {info.id for info in self.models if info.state is not ModelState.READY}
            self._timeouts, self.was_reached = 0, True
            self._set_problem(None)
        self.was_polled = True
        self.on_change()

    async def load(self, model: str) -> None:
        """Loads a model and polls the replica. Raises: ServiceError."""
        await self.client.load(model)
        await self.refresh()

    async def unload(self, model: str) -> None:
        """Unloads a model and polls the replica. Raises: ServiceError."""
        await self.client.unload(model)
        await self.refresh()

    async def remove(self, model: str) -> None:
        """Removes a model's weights and polls the replica. Raises: ServiceError."""
        await self.client.remove(model)
        await self.refresh()

    def mark_unreachable(self, error: ServiceError) -> None:
        """Sends the replica no more requests until a poll succeeds."""
        self._set_problem(error)
        self._poll_now.set()

    def mark_not_ready(self, model: str) -> None:
        self.not_ready.add(model)
        self._poll_now.set()

    def mark_full(self) -> None:
        self.is_full = True
        asyncio.get_running_loop().call_later(FULL_PAUSE_S, self._end_pause)

    def interrupt(self) -> None:
        """Ends the calls that wait for a response of this replica. They fail with BACKEND_UNAVAILABLE."""
        for call in self._calls:
            call.reschedule(asyncio.get_running_loop().time())

    async def interruptible(self, answer: Awaitable[T]) -> T:
        """Waits for a response of this replica and returns it.

        Raises:
            ServiceError: the call's own error, or BACKEND_UNAVAILABLE after `interrupt`.
        """
        try:
            async with asyncio.timeout(None) as call:
                self._calls.add(call)
                try:
                    return await answer
                finally:
                    self._calls.discard(call)
                    del call  # it keeps its task; the task keeps an exception, whose traceback keeps this frame
        except TimeoutError as error:
            raise unavailable(self.client.service, "no longer answers") from error

    def _end_pause(self) -> None:
        self.is_full = False
        self.on_change()

    def _set_problem(self, problem: ServiceError | None) -> None:
        if (self.problem is None) != (problem is None):
            name = self.client.service.name
            log.info("service=%s address=%s reachable=%s", name, self.address, problem is None)
        self.problem = problem


def _memory_bytes(report: ModelList) -> int | None:
    known = [each for each in (report.memory_bytes, *(info.memory_bytes for info in report.models)) if each is not None]
    return sum(known) if known else None
