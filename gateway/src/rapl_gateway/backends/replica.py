"""The processes of one engine: what each last said of its models, and how much it has before it."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.models import ModelInfo, ModelState
from rapl_protocol.transcript import TranscribeOptions, Transcript
from rapl_service.calls.call import Service, unavailable

PROBE_INTERVAL_S = 0.5
"""How often a replica that is away is looked for."""
_LATE_ANSWERS = 2
"""So many in a row, and a replica counts as away. One may be late because all of its cores compute."""

log = logging.getLogger("rapl")

T = TypeVar("T")


class EngineClient(Protocol):
    """How the gateway calls one process of an engine, ours or somebody else's."""

    service: Service
    poll_interval_s: float

    async def transcribe(
        self, audio: WavAudio, options: TranscribeOptions, *, deadline_s: float, request_id: str | None = None
    ) -> Transcript: ...

    def stream(
        self, audio: WavAudio, options: TranscribeOptions, *, deadline_s: float, request_id: str | None = None
    ) -> AsyncGenerator[str | Transcript, None]: ...

    async def models(self) -> list[ModelInfo]: ...

    async def load(self, model_id: str) -> ModelInfo: ...


@dataclass(eq=False)
class Replica:
    """One process of an engine."""

    client: EngineClient
    on_change: Callable[[], None]
    """Called whenever something new is known of it."""
    models: list[ModelInfo] = field(default_factory=list)
    """What it last said; kept while it cannot be reached, so that its models do not vanish from the list."""
    parallel: int = 1
    """How many pieces it says it works on at once."""
    problem: ServiceError | None = None
    """Why it is not asked for anything at present."""
    was_asked: bool = False
    held: int = 0
    """How many pieces of audio it has before it."""
    held_s: float = 0.0
    """How much audio that is."""
    refused: set[str] = field(default_factory=set)
    """Models for which it said that they are not ready, and since then nothing better."""
    _late_answers: int = 0
    _look_now: asyncio.Event = field(default_factory=asyncio.Event)
    _calls: set[asyncio.Timeout] = field(default_factory=set)

    @property
    def address(self) -> str:
        return self.client.service.base_url

    def info(self, model: str) -> ModelInfo | None:
        return next((info for info in self.models if info.id == model), None)

    def may_serve(self, model: str) -> bool:
        return self.problem is None and model not in self.refused

    def is_ready(self, model: str) -> bool:
        info = self.info(model)
        return self.may_serve(model) and info is not None and info.state is ModelState.READY

    def is_loading(self, model: str) -> bool:
        info = self.info(model)
        return self.problem is None and info is not None and info.state is ModelState.LOADING

    async def watch(self) -> None:
        """Asks it for its models, again and again; at once when something went wrong with it."""
        while True:
            await self.refresh()
            interval_s = PROBE_INTERVAL_S if self.problem or self.refused else self.client.poll_interval_s
            self._look_now.clear()
            try:
                async with asyncio.timeout(interval_s):
                    await self._look_now.wait()
            except TimeoutError:
                pass

    async def refresh(self) -> None:
        try:
            models = await self.client.models()
        except ServiceError as error:
            self._late_answers += 1
            if error.code is not ErrorCode.BACKEND_TIMEOUT or self._late_answers >= _LATE_ANSWERS:
                self._set_problem(error)
        else:
            self.models = models
            self.parallel = max((info.parallel for info in models), default=1)
            self.refused &= {info.id for info in models if info.state is not ModelState.READY}
            self._late_answers = 0
            self._set_problem(None)
        self.was_asked = True
        self.on_change()

    async def load(self, model: str) -> None:
        """Raises: ServiceError."""
        await self.client.load(model)
        await self.refresh()

    def failed(self, error: ServiceError) -> None:
        """Takes it out, after a request that it did not answer, until it says again that it is well."""
        self._set_problem(error)
        self._look_now.set()

    def refuse(self, model: str) -> None:
        self.refused.add(model)
        self._look_now.set()

    def interrupt(self) -> None:
        """Ends the calls that wait for it, as if it had broken off."""
        for call in self._calls:
            call.reschedule(asyncio.get_running_loop().time())

    async def interruptible(self, answer: Awaitable[T]) -> T:
        """Awaits an answer of it.

        Raises:
            ServiceError: also BACKEND_UNAVAILABLE, where it was interrupted.
        """
        try:
            async with asyncio.timeout(None) as call:
                self._calls.add(call)
                try:
                    return await answer
                finally:
                    self._calls.discard(call)
        except TimeoutError as error:
            raise unavailable(self.client.service, "does not answer any more") from error

    def _set_problem(self, problem: ServiceError | None) -> None:
        if (self.problem is None) != (problem is None):
            name = self.client.service.name
            log.info("service=%s address=%s reachable=%s", name, self.address, problem is None)
        self.problem = problem
