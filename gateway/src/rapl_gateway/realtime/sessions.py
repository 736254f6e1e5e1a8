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
from rapl_gateway.realtime.figures import RealtimeMetrics, TurnFigures
from rapl_gateway.realtime.rules.commands import BeginTurn, EndedBy
from rapl_gateway.realtime.rules.config import SessionConfig
from rapl_gateway.realtime.session import RealtimeSession
from rapl_gateway.realtime.turn_text import TurnText, TurnTexts
from rapl_gateway.security.client_secrets import ClientSecrets
from rapl_gateway.speakers.voices import SessionVoices, TurnVoice
from rapl_gateway.timing import Stage

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
        metrics: what is measured of sessions and turns; None: nothing.
    """

    def __init__(self, gateway: Gateway, secrets: ClientSecrets, metrics: RealtimeMetrics | None) -> None:
        self.secrets = secrets
        self.open: Counter[str] = Counter()
        """Open sessions by client."""
        self.metrics = metrics
        self._running: set[RealtimeSession] = set()
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
            raise _refusal("The server has")
        if self.open[client_id] >= settings.realtime_max_client_sessions:
            raise _refusal("This client has")
        self.open[client_id] += 1
        try:
            yield
        finally:
            self.open[client_id] -= 1
            self.open += Counter()  # drops clients without sessions

    @contextmanager
    def running(self, session: RealtimeSession) -> Generator[None]:
        """A context in which the session runs. At the end it is counted by what ended it."""
        self._running.add(session)
        ended_by = EndedBy.INTERNAL
        try:
            yield
            ended_by = session.close.ended_by if session.close else EndedBy.CLIENT
        finally:
            self._running.discard(session)
            if self.metrics:
                self.metrics.session_ends.add(ended_by.value)

    def waiting_bytes(self) -> Counter[str]:
        """Bytes of audio of all sessions that wait, by what they wait for."""
        waiting = Counter(detection=0, text=0)
        for session in self._running:
            waiting.update(session.waiting_bytes())
        return waiting

    def public_model(self, name: str) -> str | None:
        """Returns the public id of the model with this name; None if there is none."""
        try:
            return self._gateway.catalog.resolve(name, self._gateway.backends.discovered()).model
        except ServiceError:
            return None

    def require_model(self, name: str) -> None:
        """Raises: ServiceError, MODEL_NOT_FOUND."""
        try:
            self._gateway.catalog.resolve(name, self._gateway.backends.discovered())
        except ServiceError as error:
            param = "session.audio.input.transcription.model"
            raise ServiceError(error.code, error.message, param=param) from None

    def new_config(self) -> SessionConfig:
        """What a session has before its client configures it."""
        return SessionConfig(self._gateway.catalog.default_model, self._gateway.speakers is not None)

    def new_voices(self, request_id: str) -> SessionVoices | None:
        """The voices of a new session; None if no speaker-service is configured."""
        speakers = self._gateway.speakers
        return SessionVoices(speakers, request_id) if speakers else None

    async def begin_text(
        self, turn: BeginTurn, figures: TurnFigures, client_id: str, request_id: str, voices: SessionVoices | None
    ) -> TurnText:
        """Begins the text of a turn. Waits for a model that is being loaded.

        Raises:
            ServiceError: there is no such model, or it is not loaded in time.
        """
        backends = self._gateway.backends
        route = self._gateway.catalog.resolve(turn.config.requested_model, backends.discovered())
        figures.model = route.model
        with figures.stopwatch.stage(Stage.QUEUE):
            await _loaded(backends[route.backend], route.engine_model)
        words = self._gateway.words
        options = words.with_keywords(turn.config.transcribe_options(route.engine_model), client_id)
        text = self._texts.begin(
            options, route, client_id, request_id=request_id, is_detected=turn.is_detected, figures=figures
        )
        text.replacements = turn.config.replacements_with(words.replacements_of(client_id))
        text.voice = TurnVoice(voices) if voices and turn.config.speakers else None
        return text


def _refusal(subject: str) -> ServiceError:
    message = f"{subject} too many realtime sessions at once."
    return ServiceError(ErrorCode.OVERLOADED, message, retry_after_s=_RETRY_AFTER_S)


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
