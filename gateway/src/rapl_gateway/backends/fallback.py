"""One request's place at a backend: whose it is, how much room it takes, and where it goes when its engine is away."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass

from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.transcript import TranscribeOptions, Transcript

from rapl_gateway.backends.catalog import Route
from rapl_gateway.backends.scheduler import CallOptions, Scheduler

_AWAY = frozenset({ErrorCode.BACKEND_UNAVAILABLE, ErrorCode.MODEL_NOT_READY})


@dataclass(frozen=True, slots=True)
class Target:
    """A model, and the backend that serves it."""

    route: Route
    dispatcher: Scheduler


class LoadReservation:
    """What a job knows of its backend.

    Args:
        places: the one that was asked for, then those that may stand in for it, as the catalog declares.
        share: whose request it is.
        expected_s: how much audio will come at first, as far as is known.
    """

    def __init__(self, places: Sequence[Target], share: str, expected_s: float) -> None:
        self.client = FallbackClient(places, share)
        self._first = places[0].dispatcher
        self._share = share
        self._expected_s = expected_s

    @property
    def width(self) -> int:
        """How many pieces of this request may be at the backend at once."""
        return max(1, self.client.place.dispatcher.slots())

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Counts what is expected as load until the first piece comes, whose own length is known."""
        self._first.load.add(self._share, self._expected_s)
        self.client.on_first_piece = self._arrived
        try:
            yield
        finally:
            self._arrived()

    def _arrived(self) -> None:
        self.client.on_first_piece = _nothing
        self._first.load.remove(self._share, self._expected_s)
        self._expected_s = 0.0


class FallbackClient:
    """Transcribes like a client of one engine, in the request's name.

    Falls back only before the first answer, so that a text is never partly one model's and partly another's.
    """

    def __init__(self, places: Sequence[Target], share: str) -> None:
        self._places = places
        self._share = share
        self._at = 0
        self._is_settled = False
        self.on_first_piece = _nothing

    @property
    def place(self) -> Target:
        return self._places[self._at]

    def headers(self) -> dict[str, str]:
        """Names the model that stands in, if one does. From now on none will that was not named."""
        self._is_settled = True
        return {"x-rapl-fallback": self.place.route.model} if self._at else {}

    async def transcribe(
        self, audio: WavAudio, options: TranscribeOptions, *, deadline_s: float, request_id: str | None = None
    ) -> Transcript:
        """Raises: ServiceError, of the last place that was tried."""
        self.on_first_piece()
        while True:
            at, terms = self._at, self._terms(deadline_s, request_id)
            try:
                transcript = await self.place.dispatcher.transcribe(audio, self._options(options), terms)
            except ServiceError as error:
                self._fall_back(at, error)
            else:
                self._is_settled = True
                return transcript

    async def stream(
        self, audio: WavAudio, options: TranscribeOptions, *, deadline_s: float, request_id: str | None = None
    ) -> AsyncGenerator[str | Transcript, None]:
        """Raises: ServiceError, of the last place that was tried."""
        self.on_first_piece()
        while True:
            at, terms = self._at, self._terms(deadline_s, request_id)
            try:
                async with aclosing(self.place.dispatcher.stream(audio, self._options(options), terms)) as texts:
                    async for text in texts:
                        self._is_settled = True
                        yield text
                return
            except ServiceError as error:
                self._fall_back(at, error)

    def _terms(self, deadline_s: float, request_id: str | None) -> CallOptions:
        has_stand_in = not self._is_settled and self._at + 1 < len(self._places)
        return CallOptions(self._share, deadline_s, request_id, has_stand_in)

    def _options(self, options: TranscribeOptions) -> TranscribeOptions:
        return options.model_copy(update={"model": self.place.route.engine_model}) if self._at else options

    def _fall_back(self, at: int, error: ServiceError) -> None:
        """Raises: the error, where nothing may stand in."""
        if at != self._at:
            return  # another piece of the same request was here before
        if self._is_settled or error.code not in _AWAY or at + 1 == len(self._places):
            raise error
        self._at += 1


def _nothing() -> None:
    pass
