"""All realtime sessions of the gateway: what they share, their limits and their counts."""

import asyncio
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.models import ModelState
from starlette.requests import HTTPConnection

from rapl_gateway.backends.backend import Backend
from rapl_gateway.gateway import Gateway
from rapl_gateway.realtime.rules.commands import BeginTurn
from rapl_gateway.realtime.rules.config import SessionConfig
from rapl_gateway.realtime.turn_text import TurnText, TurnTexts
from rapl_gateway.security.client_secrets import ClientSecrets

MODEL_WAIT_S = 60.0
"""How long a turn waits for a model that is being loaded, in seconds. Its audio waits too."""
_POLL_S = 0.1
_RETRY_AFTER_S = 10.0
_ON_THE_WAY = frozenset({ModelState.DOWNLOADING, ModelState.LOADING})


class Sessions:
    """The open sessions.

    Args:
        gateway: what all routes share.
        secrets: the client secrets.
    """

    def __init__(self, gateway: Gateway, secrets: ClientSecrets) -> None:
        self.secrets = secrets
        self.open: Counter[str] = Counter()
        """Open sessions by client."""
        self.counts: Counter[str] = Counter()
        """Since the start: `opened` and `refused` sessions, `turns`, those that `failed`, `empty` ones, `errors` and
        `deltas`. Counts of a session are added when it ends."""
        self._gateway = gateway
        self._texts = TurnTexts(gateway.backends, gateway.pipeline, gateway.settings)

    @contextmanager
    def counted(self, client_id: str) -> Generator[None]:
        """A context in which the client has one more session.

        Raises:
            ServiceError: OVERLOADED, if the client or all clients together have too many.
        """
        settings = self._gateway.settings
        if self.open.total() >= settings.realtime_max_sessions:
            raise self._refusal("The server has")
        if self.open[client_id] >= settings.realtime_max_client_sessions:
            raise self._refusal("This client has")
        self.counts["opened"] += 1
        self.open[client_id] += 1
        try:
            yield
        finally:
            self.open[client_id] -= 1
            self.open += Counter()  # drops clients without sessions

    def _refusal(self, subject: str) -> ServiceError:
        self.counts["refused"] += 1
        message = f"{subject} too many realtime sessions at once."
        return ServiceError(ErrorCode.OVERLOADED, message, retry_after_s=_RETRY_AFTER_S)

    def require_model(self, name: str) -> None:
        """Raises: ServiceError, MODEL_NOT_FOUND."""
        try:
            self._gateway.catalog.resolve(name, self._gateway.backends.discovered())
        except ServiceError as error:
            param = "session.audio.input.transcription.model"
            raise ServiceError(error.code, error.message, param=param) from None

    def new_config(self) -> SessionConfig:
        """What a session has before its client configures it."""
        return SessionConfig(default_model=self._gateway.catalog.default_model)

    async def begin_text(self, turn: BeginTurn, client_id: str, request_id: str) -> TurnText:
        """Begins the text of a turn. Waits for a model that is being loaded.

        Raises:
            ServiceError: there is no such model, or it is not loaded in time.
        """
        backends = self._gateway.backends
        route = self._gateway.catalog.resolve(turn.config.requested_model, backends.discovered())
        await _loaded(backends[route.backend], route.engine_model)
        options = self._gateway.keywords.added_to(turn.config.transcribe_options(route.engine_model), client_id)
        return self._texts.begin(options, route, client_id, request_id=request_id, is_detected=turn.is_detected)


def sessions_of(connection: HTTPConnection) -> Sessions:
    return connection.app.state.realtime


async def _loaded(backend: Backend, model: str) -> None:
    """Waits while the model is being loaded, at most MODEL_WAIT_S. Every other state is left to the engine's answer.

    Raises:
        ServiceError: MODEL_NOT_READY.
    """
    give_up_at = time.monotonic() + MODEL_WAIT_S
    while (info := backend.info(model)) and info.state in _ON_THE_WAY:
        if time.monotonic() > give_up_at:
            raise info.not_ready_error()
        await asyncio.sleep(_POLL_S)
