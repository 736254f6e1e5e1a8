"""A request's reservation in the queue of its backend, and the fallback to other models if that backend is down."""

import logging
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass

from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ServiceError
from rapl_protocol.transcript import TranscribeOptions, Transcript

from rapl_gateway.backends.catalog import Route
from rapl_gateway.backends.load import CallOptions
from rapl_gateway.backends.retry import policy
from rapl_gateway.backends.scheduler import Scheduler
from rapl_gateway.timing import Stopwatch

log = logging.getLogger("rapl")


@dataclass(frozen=True, slots=True)
class Target:
    """A model, and the queue of the backend that serves it."""

    route: Route
    scheduler: Scheduler


class LoadReservation:
    """A request's reservation in the queue of its backend.

    Args:
        targets: the requested model, then its fallbacks as the catalog declares them.
        client_id: the client that sent the request.
        expected_s: expected length of the request's first segment, in seconds of audio.
        stopwatch: measures the request's stages.
    """

    def __init__(self, targets: Sequence[Target], client_id: str, expected_s: float, stopwatch: Stopwatch) -> None:
        self.client = FallbackClient(targets, client_id, stopwatch)
        self._scheduler = targets[0].scheduler
        self._client_id = client_id
        self._expected_s = expected_s

    @property
    def width(self) -> int:
        """How many segments of this request may be at the backend at once."""
        return max(1, self.client.target.scheduler.slots())

    @contextmanager
    def held(self) -> Generator[None]:
        """Counts the expected audio as queued until the first segment is queued with its exact length."""
        self._scheduler.queued.add(self._client_id, self._expected_s)
        self.client.on_first_segment = self._release
        try:
            yield
        finally:
            self._release()

    def _release(self) -> None:
        self.client.on_first_segment = _nothing
        self._scheduler.queued.remove(self._client_id, self._expected_s)
        self._expected_s = 0.0


class FallbackClient:
    """Transcribes like the client of one engine, with fallback to other models.

    It falls back only before the first text or transcript, so that no result has text of two models.
    """

    def __init__(self, targets: Sequence[Target], client_id: str, stopwatch: Stopwatch) -> None:
        self._targets = targets
        self._client_id = client_id
        self._stopwatch = stopwatch
        self._index = 0
        self._is_fixed = False
        """Whether the model can no longer change: its first text has been received, or `headers` has been called."""
        self.on_first_segment = _nothing

    @property
    def target(self) -> Target:
        return self._targets[self._index]

    def headers(self) -> dict[str, str]:
        """Returns a header with the name of the fallback model, if one is used. After this call the model can no longer
        change."""
        self._is_fixed = True
        return {"x-rapl-fallback": self.target.route.model} if self._index else {}

    async def transcribe(
        self, audio: WavAudio, options: TranscribeOptions, *, deadline_s: float, request_id: str | None = None
    ) -> Transcript:
        """Returns the transcript of the first model that succeeds.

        Raises:
            ServiceError: the error of the last model that was tried.
        """
        self.on_first_segment()
        while True:
            index, call = self._index, self._call(deadline_s, request_id)
            try:
                transcript = await self.target.scheduler.transcribe(audio, self._options(options), call)
            except ServiceError as error:
                self._fall_back(index, error)
            else:
                self._is_fixed = True
                return transcript

    async def stream(
        self, audio: WavAudio, options: TranscribeOptions, *, deadline_s: float, request_id: str | None = None
    ) -> AsyncGenerator[str | Transcript, None]:
        """Yields the words and the transcript of the first model that succeeds.

        Raises:
            ServiceError: the error of the last model that was tried.
        """
        self.on_first_segment()
        while True:
            index, call = self._index, self._call(deadline_s, request_id)
            try:
                async with aclosing(self.target.scheduler.stream(audio, self._options(options), call)) as texts:
                    async for text in texts:
                        self._is_fixed = True
                        yield text
                return
            except ServiceError as error:
                self._fall_back(index, error)

    def _call(self, deadline_s: float, request_id: str | None) -> CallOptions:
        has_fallback = not self._is_fixed and self._index + 1 < len(self._targets)
        return CallOptions(self._client_id, deadline_s, request_id, has_fallback, stopwatch=self._stopwatch)

    def _options(self, options: TranscribeOptions) -> TranscribeOptions:
        """Returns the options for the model that is used now. A draft is of the first one."""
        if not self._index:
            return options
        return options.model_copy(update={"model": self.target.route.engine_model, "draft": None})

    def _fall_back(self, index: int, error: ServiceError) -> None:
        """Changes to the next model. Raises the error if there is none, or if the model can no longer change."""
        if index != self._index:
            return  # another segment of this request has already fallen back
        if self._is_fixed or not policy(error).has_fallback or index + 1 == len(self._targets):
            raise error
        self.target.scheduler.fallbacks += 1
        self._index += 1
        log.warning("error=%s: fallback to model=%s", error.code.value, self.target.route.model)


def _nothing() -> None:
    pass
