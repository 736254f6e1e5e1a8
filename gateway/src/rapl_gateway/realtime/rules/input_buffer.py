"""The audio of a session that came back from speech detection, and the turns in it.

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

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from rapl_protocol.audio import SAMPLE_RATE_HZ, SAMPLE_WIDTH_BYTES
from rapl_protocol.errors import ServiceError

from rapl_gateway.realtime.rules.commands import AddAudio, BeginTurn, Command, CommitTurn, DropTurn, Send
from rapl_gateway.realtime.rules.config import SessionConfig
from rapl_gateway.realtime.rules.events import Event, ServerEvents
from rapl_gateway.realtime.turn_text import TurnCompleted

MIN_TURN_SAMPLES = SAMPLE_RATE_HZ // 10
"""A shorter turn is committed as an empty one. Source: OpenAI's limit for a commit, 100 ms."""
MAX_WAITING_TURNS = 64
"""With more committed turns without a text, the session is behind."""
_KEPT_S = 2.0
"""Seconds of silence that are kept besides the padding, because speech is reported after it has begun."""
_MAX_ITEMS = 100
"""How many items can be retrieved."""


class State(StrEnum):
    """See the tables above."""

    EMPTY = "empty"
    FILLING = "filling"
    SILENCE = "silence"
    SPEECH = "speech"
    CUT = "cut"
    HELD = "held"


_AFTER_COMMIT = {State.FILLING: State.EMPTY, State.SPEECH: State.CUT, State.HELD: State.SILENCE}
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


class InputBuffer:
    """The audio that came back, and its turns.

    Args:
        events: builds the events of the session.
        config: what the session begins with.
        new_id: returns a new id with this prefix.
        max_turn_s: longest turn, in seconds. With more audio in turns without a text, the session is behind.
    """

    def __init__(
        self, events: ServerEvents, config: SessionConfig, new_id: Callable[[str], str], max_turn_s: float
    ) -> None:
        self.state = State.SILENCE if config.detection else State.EMPTY
        self.turns: dict[str, Turn] = {}
        """The turns that are open or wait for their text, by item."""
        self.open: Turn | None = None
        self.transcripts: OrderedDict[str, str | None] = OrderedDict()
        """The latest items, in order, each with its text or None."""
        self.counts = {"turns": 0, "empty": 0}
        self.position = 0
        """Samples of audio that came back."""
        self.appends = 0
        """How many pieces of audio the client has sent."""
        self.commands: list[Command] = []
        """What is to be done, in order."""
        self._events = events
        self._new_id = new_id
        self._max_turn_samples = round(max_turn_s * SAMPLE_RATE_HZ)
        self.config = config
        """The configuration of the audio that comes back now."""
        self._kept = bytearray()
        self._previous_item: str | None = None

    @property
    def is_behind(self) -> bool:
        """Whether so much waits for its text that the client's next messages should wait too."""
        waiting = self._waiting_samples()
        return len(waiting) > MAX_WAITING_TURNS or sum(waiting) > self._max_turn_samples

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the audio in committed turns without a text."""
        return sum(self._waiting_samples()) * SAMPLE_WIDTH_BYTES

    def _waiting_samples(self) -> list[int]:
        return [turn.samples for turn in self.turns.values() if turn.is_committed]

    def send(self, *events: Event) -> None:
        self.commands += map(Send, events)

    def audio(self, pcm: bytes) -> None:
        """Audio came back: 16 kHz mono s16le."""
        self.position += len(pcm) // SAMPLE_WIDTH_BYTES
        if self.state is State.SILENCE:
            self._keep(pcm)
            return
        if self.open is None:
            self._begin_turn(pcm, is_detected=self.state is State.CUT)
            self.state = State.FILLING if self.state is State.EMPTY else State.SPEECH
        else:
            self._add(self.open, pcm)
        if self.open and self.open.samples >= self._max_turn_samples:
            self.commit(self.appends)

    def _keep(self, pcm: bytes) -> None:
        self._kept += pcm
        detection = self.config.detection
        kept_s = _KEPT_S + (detection.prefix_padding_ms / 1000 if detection else 0)
        del self._kept[: -round(kept_s * SAMPLE_RATE_HZ) * SAMPLE_WIDTH_BYTES]

    def speech_started(self, at_sample: int) -> None:
        if self.state is State.SILENCE:
            first = self.position - len(self._kept) // SAMPLE_WIDTH_BYTES
            pcm = bytes(self._kept[max(0, at_sample - first) * SAMPLE_WIDTH_BYTES :])
            self._begin_turn(pcm, is_detected=True)
        if self.state in (State.SILENCE, State.HELD) and self.open:
            self.send(self._events.speech_started(self.open.item_id, at_sample))
            self.state = State.SPEECH

    def speech_stopped(self, at_sample: int) -> None:
        if self.state is State.SPEECH and (turn := self.open):
            if at_sample - turn.start_sample < MIN_TURN_SAMPLES and not turn.has_text:
                self.drop()  # what was left of a turn that the client committed
            else:
                self.send(self._events.speech_stopped(turn.item_id, at_sample))
                self.commit(self.appends)
            self.state = State.SILENCE
        elif self.state is State.CUT:
            self.state = State.SILENCE

    def apply(self, config: SessionConfig) -> None:
        """The audio after this has another configuration."""
        self.config = config
        if config.detection:
            self.state = _DETECTION_ON.get(self.state, self.state)
        elif self.state is State.SILENCE and self._kept:
            self._begin_turn(bytes(self._kept), is_detected=False)
            self.state = State.FILLING
        else:
            self.state = _DETECTION_OFF.get(self.state, State.EMPTY if self.open is None else State.FILLING)

    def _begin_turn(self, pcm: bytes, *, is_detected: bool) -> None:
        start = self.position - len(pcm) // SAMPLE_WIDTH_BYTES
        self.open = turn = Turn(self._new_id("item"), start)
        self._kept.clear()
        self.turns[turn.item_id] = turn
        self.commands.append(BeginTurn(turn.item_id, self.config, is_detected))
        self._add(turn, pcm)

    def _add(self, turn: Turn, pcm: bytes) -> None:
        turn.samples += len(pcm) // SAMPLE_WIDTH_BYTES
        self.commands.append(AddAudio(turn.item_id, pcm))

    def commit(self, appends_before: int) -> None:
        """Ends the open turn, or makes an empty item.

        Args:
            appends_before: how many pieces of audio the client had sent when it committed the turn.
        """
        turn = self.open
        if turn and (turn.samples >= MIN_TURN_SAMPLES or turn.has_text):
            self._make_item(turn.item_id)
            turn.is_committed, turn.appends_before = True, appends_before
            self.counts["turns"] += 1
            self.commands.append(CommitTurn(turn.item_id))
        else:
            duration_s = turn.samples / SAMPLE_RATE_HZ if turn else 0.0
            item_id = turn.item_id if turn else self._new_id("item")
            self._drop_text()
            self._make_item(item_id)
            self.counts["empty"] += 1
            self.complete(item_id, TurnCompleted("", duration_s))
        self._after_turn()

    def commit_lost(self, error: ServiceError) -> None:
        """Makes an item of a turn of which not all audio came back, and never will: it fails."""
        item_id = self.open.item_id if self.open else self._new_id("item")
        self._drop_text(error)
        self._make_item(item_id)
        self.counts["turns"] += 1
        self.send(self._events.failed(item_id, error))
        self._after_turn()

    def drop(self) -> None:
        """Forgets the open turn and the kept audio."""
        self._drop_text()
        self._after_turn()

    def _drop_text(self, error: ServiceError | None = None) -> None:
        if self.open:
            del self.turns[self.open.item_id]
            self.commands.append(DropTurn(self.open.item_id, error))

    def _after_turn(self) -> None:
        self.open = None
        self._kept.clear()
        self.state = _AFTER_COMMIT.get(self.state, self.state)

    def _make_item(self, item_id: str) -> None:
        self.send(*self._events.committed(item_id, self._previous_item))
        self._previous_item = item_id
        self.transcripts[item_id] = None
        if len(self.transcripts) > _MAX_ITEMS:
            self.transcripts.popitem(last=False)

    def complete(self, item_id: str, completed: TurnCompleted, start_sample: int = 0) -> None:
        """An item has its text, and perhaps its speaker. `start_sample`: where its audio begins."""
        if item_id in self.transcripts:
            self.transcripts[item_id] = completed.transcript
        if completed.speaker is not None:
            self.send(self._events.segment(item_id, completed, start_sample))
        self.send(self._events.completed(item_id, completed, self.config.logprobs))
