"""The rules of a session, without any input or output: what happens goes in, commands come out.

The audio of a session goes to preprocess-service and comes back at 16 kHz, with speech_started and speech_stopped.
A commit, a clear and an update take effect where they were in the stream of audio: each sends a flush after the audio
before it, and happens when the flush comes back. The audio that came back is in one of these states:

| State   | Detection | The audio that came back last                                             |
|---------|-----------|---------------------------------------------------------------------------|
| EMPTY   | off       | is committed, or cleared                                                  |
| FILLING | off       | is in an open turn                                                        |
| SILENCE | on        | has no speech; a few seconds of it are kept, for the padding of a turn    |
| SPEECH  | on        | is in an open turn                                                        |
| CUT     | on        | is committed or cleared, and its speech goes on                           |
| HELD    | on        | is in a turn that was open when detection was switched on                 |

| State   | audio            | speech_started    | speech_stopped    | commit            | clear          |
|---------|------------------|-------------------|-------------------|-------------------|----------------|
| EMPTY   | begin -> FILLING | -                 | -                 | empty item        | -              |
| FILLING | add              | -                 | -                 | commit -> EMPTY   | drop -> EMPTY  |
| SILENCE | keep             | begin -> SPEECH   | -                 | empty item        | forget         |
| SPEECH  | add              | -                 | commit -> SILENCE | commit -> CUT     | drop -> CUT    |
| CUT     | begin -> SPEECH  | -                 | -> SILENCE        | empty item        | -              |
| HELD    | add              | -> SPEECH         | -                 | commit -> SILENCE | drop -> SILENCE|

An open turn that reaches the longest length is committed as by the client. Switching detection off leads from SILENCE
(with kept audio), SPEECH and HELD to FILLING, and otherwise to EMPTY; switching it on from EMPTY to SILENCE and from
FILLING to HELD. A turn of less than 100 ms is an empty item. Each committed turn ends with `completed` or `failed`.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Self, cast

from pydantic_core import from_json
from rapl_protocol.audio import SAMPLE_RATE_HZ, SAMPLE_WIDTH_BYTES
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.live_audio import Flush, Flushed, LiveEvent, SpeechStarted, SpeechStopped

from rapl_gateway.api.upload import from_base64
from rapl_gateway.realtime.rules.commands import (
    AddAudio,
    BeginTurn,
    Close,
    Command,
    CommitTurn,
    DropTurn,
    Send,
    ToDetector,
)
from rapl_gateway.realtime.rules.config import SessionConfig
from rapl_gateway.realtime.rules.events import Event, ServerEvents
from rapl_gateway.realtime.turn_text import TextDelta, TurnCompleted

MAX_EVENT_BYTES = 15 << 20
"""Largest event of a client, in bytes. Source: OpenAI's limit for `input_audio_buffer.append`."""
MIN_TURN_SAMPLES = SAMPLE_RATE_HZ // 10
"""A shorter turn is committed as an empty one. Source: OpenAI's limit for a commit, 100 ms."""
MAX_ERRORS = 100
"""After so many errors the session ends: its client does not read them."""
MAX_WAITING_TURNS, MAX_WAITING_FLUSHES = 64, 1_000
"""With more committed turns without a text, or more flushes that have not come back, the session is behind."""
_MAX_OTHER_EVENT_BYTES = 1 << 20
"""Largest event that has no audio, in bytes."""
_KEPT_S = 2.0
"""Seconds of silence that are kept besides the padding, because speech is reported after it has begun."""
_MAX_ITEMS = 100
"""How many items can be retrieved."""
_MAX_ID = 512


class State(StrEnum):
    """See the tables above."""

    EMPTY = "empty"
    FILLING = "filling"
    SILENCE = "silence"
    SPEECH = "speech"
    CUT = "cut"
    HELD = "held"


_AFTER_COMMIT = {State.FILLING: State.EMPTY, State.SPEECH: State.CUT, State.HELD: State.SILENCE}
_OPEN = frozenset(_AFTER_COMMIT)
_DETECTION_OFF = {State.SPEECH: State.FILLING, State.HELD: State.FILLING, State.CUT: State.EMPTY}
_DETECTION_ON = {State.EMPTY: State.SILENCE, State.FILLING: State.HELD}


@dataclass(slots=True)
class Turn:
    """A turn that has begun and is not completed."""

    item_id: str
    start_sample: int
    samples: int = 0
    has_text: bool = False
    is_committed: bool = False
    appends_before: int = 0
    """How many pieces of audio the client had sent when it committed the turn."""


@dataclass(frozen=True, slots=True)
class _Commit:
    appends_before: int


@dataclass(frozen=True, slots=True)
class _Clear:
    pass


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
        self.state = State.SILENCE if config.detection else State.EMPTY
        self.turns: dict[str, Turn] = {}
        """The turns that are open or wait for their text, by item."""
        self.counts = dict.fromkeys(("turns", "failed", "empty", "errors", "deltas"), 0)
        self.position = 0
        """Samples of audio that came back."""
        self._events = events
        self._require_model = require_model
        self._new_id = new_id
        self._max_turn_samples = round(max_turn_s * SAMPLE_RATE_HZ)
        self._applied = config
        """The configuration of the audio that comes back now."""
        self._flushes: deque[_Commit | _Clear | _End | SessionConfig] = deque()
        """What happens when the next flushes come back."""
        self._open: Turn | None = None
        self._kept = bytearray()
        self._appends = 0
        self._previous_item: str | None = None
        self._transcripts: OrderedDict[str, str | None] = OrderedDict()
        self._close: Close | None = None
        """How the session ends when all turns have their text."""
        self._is_over = False
        """Whether the last audio has come back."""
        self._commands: list[Command] = []

    @property
    def is_behind(self) -> bool:
        """Whether so much waits that the client's next messages should wait too."""
        waiting = [turn.samples for turn in self.turns.values() if turn.is_committed]
        has_much = len(waiting) > MAX_WAITING_TURNS or sum(waiting) > self._max_turn_samples
        return has_much or len(self._flushes) > MAX_WAITING_FLUSHES

    @property
    def audio_s(self) -> float:
        """Seconds of audio that came back."""
        return self.position / SAMPLE_RATE_HZ

    @property
    def is_idle(self) -> bool:
        """Whether no committed turn waits for its text."""
        return not any(turn.is_committed for turn in self.turns.values())

    def begin(self) -> list[Command]:
        """The first commands of the session."""
        self._send(self._events.session_created(self.config))
        return self._taken()

    def on_message(self, message: str | bytes) -> list[Command]:
        """The client sent a message."""
        event: Any = None
        try:
            if self._close:
                return []
            event = _parsed(message)
            name = event.get("type")
            if name != "input_audio_buffer.append" and len(message) > _MAX_OTHER_EVENT_BYTES:
                raise _invalid("type", f"an event without audio may have {_MAX_OTHER_EVENT_BYTES >> 20} MiB")
            handler = self.handlers.get(name) if isinstance(name, str) else None
            if handler is None:
                raise _invalid("type", _unknown_event(name))
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
                self._speech_started(at_sample)
            case SpeechStopped(at_sample=at_sample):
                self._speech_stopped(at_sample)
            case Flushed():
                self._flushed()
            case pcm:
                self._audio(pcm)
        return self._taken()

    def on_delta(self, item_id: str, delta: TextDelta) -> list[Command]:
        if turn := self.turns.get(item_id):
            turn.has_text = True
            self.counts["deltas"] += 1
            self._send(self._events.delta(item_id, delta, self.config.logprobs))
        return self._taken()

    def on_completed(self, item_id: str, completed: TurnCompleted) -> list[Command]:
        if self.turns.pop(item_id, None):
            self._complete(item_id, completed)
            self._close_if_done()
        return self._taken()

    def on_failed(self, item_id: str, error: ServiceError) -> list[Command]:
        """A committed turn has no text. If the client sent no audio since its commit, it may wait for this turn only,
        and clients that do so know `error` and not `failed`."""
        if turn := self.turns.pop(item_id, None):
            self.counts["failed"] += 1
            self._send(self._events.failed(item_id, error))
            if self.config.detection is None and turn.appends_before == self._appends:
                self._send(self._events.error(error))
            self._close_if_done()
        return self._taken()

    def on_detector_failed(self, error: ServiceError) -> list[Command]:
        """No more audio comes back. The open turn, and what the client committed, end with the audio that did."""
        if not self._close:
            self._error(error, None)
        self._close = self._close or Close(1011, "speech detection is not available")
        self._flushes.append(_End())
        while self._flushes:
            self._flushed()
        return self._taken()

    def end(self, code: int, reason: str) -> list[Command]:
        """Commits the open turn, and closes the connection when all turns have their text."""
        if not self._close:
            self._close = Close(code, reason)
            self._flush(_End())
        return self._taken()

    def _taken(self) -> list[Command]:
        commands, self._commands = self._commands, []
        return commands

    def _send(self, *events: Event) -> None:
        self._commands += map(Send, events)

    def _error(self, error: ServiceError, event: Any) -> None:
        event_id = cast("dict[str, Any]", event).get("event_id") if isinstance(event, dict) else None
        self.counts["errors"] += 1
        self._send(self._events.error(error, event_id[:_MAX_ID] if isinstance(event_id, str) else None))
        if self.counts["errors"] >= MAX_ERRORS:
            self._close = Close(1008, "too many errors")
            self._commands.append(self._close)

    def _flush(self, then: "_Commit | _Clear | _End | SessionConfig") -> None:
        self._flushes.append(then)
        self._commands.append(ToDetector(Flush()))

    # What a client sends.

    def _update(self, event: dict[str, Any]) -> None:
        session = event.get("session")
        if not isinstance(session, dict):
            raise _invalid("session", "'session' must be an object")
        config = self.config.updated(cast("dict[str, Any]", session))
        if config.model != self.config.model:
            self._require_model(config.requested_model)
        self.config = config
        self._send(self._events.session_updated(config))
        self._flush(config)
        self._commands.append(ToDetector(config.live_options()))

    def _update_flat(self, event: dict[str, Any]) -> None:
        self._events.is_flat = True
        self._update(event)

    def _append(self, event: dict[str, Any]) -> None:
        match event.get("audio"):
            case str(text):
                audio = from_base64(text, "audio")
            case _:
                raise _invalid("audio", "'audio' must be audio in base64")
        if audio:
            self._appends += 1
            self._commands.append(ToDetector(audio))

    def _commit_event(self, _: dict[str, Any]) -> None:
        self._flush(_Commit(self._appends))

    def _clear_event(self, _: dict[str, Any]) -> None:
        self._flush(_Clear())

    def _retrieve(self, event: dict[str, Any]) -> None:
        item_id = self._known_item(event)
        self._send(self._events.item_retrieved(item_id, self._transcripts[item_id]))

    def _delete(self, event: dict[str, Any]) -> None:
        item_id = self._known_item(event)
        del self._transcripts[item_id]
        self._send(self._events.item_deleted(item_id))

    def _known_item(self, event: dict[str, Any]) -> str:
        item_id = event.get("item_id")
        if not isinstance(item_id, str) or item_id not in self._transcripts:
            raise ServiceError(ErrorCode.NOT_FOUND, "this session has no item with this id", param="item_id")
        return item_id

    # What comes back from preprocess-service.

    def _audio(self, pcm: bytes) -> None:
        self.position += len(pcm) // SAMPLE_WIDTH_BYTES
        if self.state is State.SILENCE:
            self._keep(pcm)
            return
        if self._open is None:
            self._begin_turn(pcm, is_detected=self.state is State.CUT)
            self.state = State.FILLING if self.state is State.EMPTY else State.SPEECH
        else:
            self._add(self._open, pcm)
        if self._open and self._open.samples >= self._max_turn_samples:
            self._commit(self._appends)

    def _keep(self, pcm: bytes) -> None:
        self._kept += pcm
        detection = self._applied.detection
        kept_s = _KEPT_S + (detection.prefix_padding_ms / 1000 if detection else 0)
        del self._kept[: -round(kept_s * SAMPLE_RATE_HZ) * SAMPLE_WIDTH_BYTES]

    def _speech_started(self, at_sample: int) -> None:
        if self.state is State.SILENCE:
            first = self.position - len(self._kept) // SAMPLE_WIDTH_BYTES
            pcm = bytes(self._kept[max(0, at_sample - first) * SAMPLE_WIDTH_BYTES :])
            self._begin_turn(pcm, is_detected=True)
        if self.state in (State.SILENCE, State.HELD) and self._open:
            self._send(self._events.speech_started(self._open.item_id, at_sample))
            self.state = State.SPEECH

    def _speech_stopped(self, at_sample: int) -> None:
        if self.state is State.SPEECH and (turn := self._open):
            if at_sample - turn.start_sample < MIN_TURN_SAMPLES and not turn.has_text:
                self._drop()  # what was left of a turn that the client committed
            else:
                self._send(self._events.speech_stopped(turn.item_id, at_sample))
                self._commit(self._appends)
            self.state = State.SILENCE
        elif self.state is State.CUT:
            self.state = State.SILENCE

    def _flushed(self) -> None:
        match self._flushes.popleft():
            case _Commit(appends_before=appends_before):
                self._commit(appends_before)
            case _Clear():
                self._drop()
                self._send(self._events.cleared())
            case _End():
                self._is_over = True
                if self._open:
                    self._commit(self._appends)
                self._close_if_done()
            case config:
                self._apply(config)

    def _apply(self, config: SessionConfig) -> None:
        self._applied = config
        if config.detection:
            self.state = _DETECTION_ON.get(self.state, self.state)
        elif self.state is State.SILENCE and self._kept:
            self._begin_turn(bytes(self._kept), is_detected=False)
            self.state = State.FILLING
        else:
            self.state = _DETECTION_OFF.get(self.state, State.EMPTY if self._open is None else State.FILLING)

    # Turns.

    def _begin_turn(self, pcm: bytes, *, is_detected: bool) -> None:
        start = self.position - len(pcm) // SAMPLE_WIDTH_BYTES
        self._open = turn = Turn(self._new_id("item"), start)
        self._kept.clear()
        self.turns[turn.item_id] = turn
        self._commands.append(BeginTurn(turn.item_id, self._applied, is_detected))
        self._add(turn, pcm)

    def _add(self, turn: Turn, pcm: bytes) -> None:
        turn.samples += len(pcm) // SAMPLE_WIDTH_BYTES
        self._commands.append(AddAudio(turn.item_id, pcm))

    def _commit(self, appends_before: int) -> None:
        turn = self._open
        if turn and (turn.samples >= MIN_TURN_SAMPLES or turn.has_text):
            self._make_item(turn.item_id)
            turn.is_committed, turn.appends_before = True, appends_before
            self.counts["turns"] += 1
            self._commands.append(CommitTurn(turn.item_id))
        else:
            duration_s = turn.samples / SAMPLE_RATE_HZ if turn else 0.0
            item_id = turn.item_id if turn else self._new_id("item")
            self._drop_text()
            self._make_item(item_id)
            self.counts["empty"] += 1
            self._complete(item_id, TurnCompleted("", duration_s))
        self._after_turn()

    def _drop(self) -> None:
        self._drop_text()
        self._after_turn()

    def _drop_text(self) -> None:
        if self._open:
            del self.turns[self._open.item_id]
            self._commands.append(DropTurn(self._open.item_id))

    def _after_turn(self) -> None:
        self._open = None
        self._kept.clear()
        self.state = _AFTER_COMMIT.get(self.state, self.state)

    def _make_item(self, item_id: str) -> None:
        self._send(*self._events.committed(item_id, self._previous_item))
        self._previous_item = item_id
        self._transcripts[item_id] = None
        if len(self._transcripts) > _MAX_ITEMS:
            self._transcripts.popitem(last=False)

    def _complete(self, item_id: str, completed: TurnCompleted) -> None:
        if item_id in self._transcripts:
            self._transcripts[item_id] = completed.transcript
        self._send(self._events.completed(item_id, completed, self.config.logprobs))

    def _close_if_done(self) -> None:
        if self._close and not self._flushes and not self.turns:
            self._commands.append(self._close)

    handlers: ClassVar[dict[str, Callable[[Self, dict[str, Any]], None]]] = {
        "session.update": _update,
        "transcription_session.update": _update_flat,
        "input_audio_buffer.append": _append,
        "input_audio_buffer.commit": _commit_event,
        "input_audio_buffer.clear": _clear_event,
        "conversation.item.retrieve": _retrieve,
        "conversation.item.delete": _delete,
    }
    """The events of clients that are supported."""


def _invalid(field: str, message: str) -> ServiceError:
    return ServiceError(ErrorCode.INVALID_REQUEST, message, param=field)


def _parsed(message: str | bytes) -> dict[str, Any]:
    if isinstance(message, bytes):
        raise _invalid("type", "send events as text: audio goes into `input_audio_buffer.append`, in base64")
    if len(message) > MAX_EVENT_BYTES:
        raise ServiceError(ErrorCode.AUDIO_TOO_LARGE, f"an event may have {MAX_EVENT_BYTES >> 20} MiB", param="audio")
    try:
        event: Any = from_json(message)
    except ValueError:
        raise ServiceError(ErrorCode.INVALID_REQUEST, "the event is not JSON") from None
    if not isinstance(event, dict):
        raise ServiceError(ErrorCode.INVALID_REQUEST, "an event must be a JSON object")
    return cast("dict[str, Any]", event)


def _unknown_event(name: object) -> str:
    shown = repr(name[:64]) if isinstance(name, str) else "without a type"
    return f"an event {shown} is not supported: RAPL transcribes, and has no conversations"
