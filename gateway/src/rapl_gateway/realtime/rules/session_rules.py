"""The rules of a session, without any input or output: what happens goes in, commands come out.

The audio of a session goes to preprocess-service and comes back at 16 kHz, with speech_started and speech_stopped.
A commit, a clear and an update take effect where they were in the stream of audio: each sends a flush after the audio
before it, and happens when the flush comes back. `input_buffer` has the states of the audio that came back.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from rapl_protocol.audio import SAMPLE_RATE_HZ
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.live_audio import Flush, Flushed, LiveEvent, SpeechStarted, SpeechStopped

from rapl_gateway.api.json_body import from_base64
from rapl_gateway.realtime.rules.client_events import (
    APPEND,
    id_of,
    invalid,
    parsed,
    require_size,
    session_of,
    unknown_event,
)
from rapl_gateway.realtime.rules.commands import Close, Command, EndedBy, ToDetector
from rapl_gateway.realtime.rules.config import SessionConfig
from rapl_gateway.realtime.rules.events import ServerEvents
from rapl_gateway.realtime.rules.input_buffer import InputBuffer
from rapl_gateway.realtime.turn_text import TextDelta, TurnCompleted

MAX_ERRORS = 100
"""After so many errors the session ends: its client does not read them."""
MAX_WAITING_FLUSHES = 1_000
"""With more flushes that have not come back, the session is behind."""


@dataclass(frozen=True, slots=True)
class _Commit:
    appends_before: int
    """How many pieces of audio the client had sent before it."""


@dataclass(frozen=True, slots=True)
class _Clear:
    appends_before: int


@dataclass(frozen=True, slots=True)
class _End:
    pass


class SessionRules:
    """The rules of one session.

    Args:
        events: builds the events of the session.
        config: what the session begins with.
        require_model: raises a ServiceError if there is no model with this name.
        new_id: returns a new id with this prefix.
        max_turn_s: longest turn, in seconds. With more audio in turns without a text, the session is behind.
    """

    def __init__(
        self,
        events: ServerEvents,
        config: SessionConfig,
        *,
        require_model: Callable[[str], None],
        new_id: Callable[[str], str],
        max_turn_s: float,
    ) -> None:
        self.config = config
        """As the client last configured it."""
        self.buffer = InputBuffer(events, config, new_id, max_turn_s)
        self._failed = self._errors = self._deltas = 0
        self._events = events
        self._require_model = require_model
        self._flushes: deque[_Commit | _Clear | _End | SessionConfig] = deque()
        """What happens when the next flushes come back."""
        self._appends_before = 0
        """Of the last commit or clear that came back."""
        self._close: Close | None = None
        """How the session ends when all turns have their text."""
        self._is_over = False
        """Whether the last audio has come back."""

    @property
    def counts(self) -> dict[str, int]:
        """Turns with audio, those that failed, empty items, errors and deltas."""
        turns, empty = self.buffer.counts.values()
        sent = {"failed": self._failed, "empty": empty, "errors": self._errors, "deltas": self._deltas}
        return {"turns": turns} | sent

    @property
    def is_behind(self) -> bool:
        """Whether so much waits that the client's next messages should wait too."""
        return self.buffer.is_behind or len(self._flushes) > MAX_WAITING_FLUSHES

    @property
    def audio_s(self) -> float:
        """Seconds of audio that came back."""
        return self.buffer.position / SAMPLE_RATE_HZ

    @property
    def is_idle(self) -> bool:
        """Whether no committed turn waits for its text."""
        return not any(turn.is_committed for turn in self.buffer.turns.values())

    def begin(self) -> list[Command]:
        """The first commands of the session."""
        self.buffer.send(self._events.session_created(self.config))
        return self._taken()

    def on_message(self, message: str | bytes, decoded: dict[str, Any] | None = None) -> list[Command]:
        """The client sent a message. `decoded` is its event, if that is decoded already."""
        event: Any = None
        try:
            if self._close:
                return []
            event = parsed(message) if decoded is None else decoded
            require_size(event, len(message))
            name = event.get("type")
            handler = self.handlers.get(name) if isinstance(name, str) else None
            if handler is None:
                raise unknown_event(name)
            handler(self, event)
        except ServiceError as error:
            self._error(error, event)
        return self._taken()

    def on_live(self, event: LiveEvent) -> list[Command]:
        """Audio or an event came back from preprocess-service."""
        match event:
            case _ if self._is_over:
                pass
            case SpeechStarted(at_sample=at_sample):
                self.buffer.speech_started(at_sample)
            case SpeechStopped(at_sample=at_sample):
                self.buffer.speech_stopped(at_sample)
            case Flushed():
                self._flushed()
            case pcm:
                self.buffer.audio(pcm)
        return self._taken()

    def on_delta(self, item_id: str, delta: TextDelta) -> list[Command]:
        if turn := self.buffer.turns.get(item_id):
            turn.has_text = True
            self._deltas += 1
            self.buffer.send(self._events.delta(item_id, delta, self.buffer.config.logprobs))
        return self._taken()

    def on_completed(self, item_id: str, completed: TurnCompleted) -> list[Command]:
        if turn := self.buffer.turns.pop(item_id, None):
            self.buffer.complete(item_id, completed, turn.start_sample)
            self._close_if_done()
        return self._taken()

    def on_failed(self, item_id: str, error: ServiceError) -> list[Command]:
        """A committed turn has no text. If the client sent no audio since its commit, it may wait for this turn only,
        and clients that do so know `error` and not `failed`."""
        if turn := self.buffer.turns.pop(item_id, None):
            self._failed += 1
            self.buffer.send(self._events.failed(item_id, error))
            if self.config.detection is None and turn.appends_before == self.buffer.appends:
                self.buffer.send(self._events.error(error))
            self._close_if_done()
        return self._taken()

    def on_detector_failed(self, error: ServiceError) -> list[Command]:
        """No more audio comes back. What the client has committed fails, unless it had sent no audio for it. The open
        turn ends with the audio that came back."""
        if not self._close:
            self._error(error, None)
        self._close = self._close or Close(EndedBy.NO_DETECTION, "speech detection is not available")
        self._lose_audio(error)
        return self._taken()

    def end(self, ended_by: EndedBy, reason: str) -> list[Command]:
        """Commits the open turn, and closes the connection when all turns have their text."""
        if not self._close:
            self._close = Close(ended_by, reason)
            self._flush(_End())
        return self._taken()

    def give_up(self, error: ServiceError) -> list[Command]:
        """A session that ends does not wait any longer: the turns without a text fail."""
        self._lose_audio(error)
        commands = self._taken()
        for item_id in [*self.buffer.turns]:
            commands += self.on_failed(item_id, error)
        return commands

    def _taken(self) -> list[Command]:
        commands, self.buffer.commands = self.buffer.commands, []
        return commands

    def _error(self, error: ServiceError, event: Any) -> None:
        self._errors += 1
        self.buffer.send(self._events.error(error, id_of(event)))
        if self._errors >= MAX_ERRORS:
            self._close = Close(EndedBy.TOO_MANY_ERRORS, "too many errors")
            self.buffer.commands.append(self._close)

    def _flush(self, then: "_Commit | _Clear | _End | SessionConfig") -> None:
        self._flushes.append(then)
        self.buffer.commands.append(ToDetector(Flush()))

    def _update(self, event: dict[str, Any]) -> None:
        config = self.config.updated(session_of(event))
        self._require_model(config.requested_model)
        self.config = config
        self.buffer.send(self._events.session_updated(config))
        self._flush(config)
        self.buffer.commands.append(ToDetector(config.live_options()))

    def _update_flat(self, event: dict[str, Any]) -> None:
        self._events.is_flat = True
        self._update(event)

    def _append(self, event: dict[str, Any]) -> None:
        audio = event.get("audio")
        if isinstance(audio, str):
            audio = from_base64(audio, "audio")
        if not isinstance(audio, bytes):
            raise invalid("audio", "'audio' must be audio in base64")
        if audio:
            self.buffer.appends += 1
            self.buffer.commands.append(ToDetector(audio))

    def _commit_event(self, _: dict[str, Any]) -> None:
        self._flush(_Commit(self.buffer.appends))

    def _clear_event(self, _: dict[str, Any]) -> None:
        self._flush(_Clear(self.buffer.appends))

    def _retrieve(self, event: dict[str, Any]) -> None:
        item_id = self._known_item(event)
        self.buffer.send(self._events.item_retrieved(item_id, self.buffer.transcripts[item_id]))

    def _delete(self, event: dict[str, Any]) -> None:
        item_id = self._known_item(event)
        del self.buffer.transcripts[item_id]
        self.buffer.send(self._events.item_deleted(item_id))

    def _known_item(self, event: dict[str, Any]) -> str:
        item_id = event.get("item_id")
        if not isinstance(item_id, str) or item_id not in self.buffer.transcripts:
            raise ServiceError(ErrorCode.NOT_FOUND, "this session has no item with this id", param="item_id")
        return item_id

    def _lose_audio(self, error: ServiceError) -> None:
        """What was sent and has not come back never will."""
        self._flushes.append(_End())
        while self._flushes:
            match self._flushes[0]:
                case _Commit(appends_before=appends_before) if appends_before > self._appends_before:
                    self._flushes.popleft()
                    self._failed += 1
                    self._appends_before = appends_before
                    self.buffer.commit_lost(error)
                case _:
                    self._flushed()

    def _flushed(self) -> None:
        match self._flushes.popleft():
            case _Commit(appends_before=appends_before):
                self._appends_before = appends_before
                self.buffer.commit(appends_before)
            case _Clear(appends_before=appends_before):
                self._appends_before = appends_before
                self.buffer.drop()
                self.buffer.send(self._events.cleared())
            case _End():
                self._is_over = True
                if self.buffer.open:
                    self.buffer.commit(self.buffer.appends)
                self._close_if_done()
            case config:
                self.buffer.apply(config)

    def _close_if_done(self) -> None:
        if self._close and not self._flushes and not self.buffer.turns:
            self.buffer.commands.append(self._close)

    handlers: ClassVar[dict[str, Callable[[Self, dict[str, Any]], None]]] = {
        "session.update": _update,
        "transcription_session.update": _update_flat,
        APPEND: _append,
        "input_audio_buffer.commit": _commit_event,
        "input_audio_buffer.clear": _clear_event,
        "conversation.item.retrieve": _retrieve,
        "conversation.item.delete": _delete,
    }
    """The events of clients that are supported."""
