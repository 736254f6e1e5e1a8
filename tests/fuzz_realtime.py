"""Fuzzes the rules of a realtime session with random sequences of events.

    python tests/fuzz_realtime.py --sequences 10000 --seed 1

A sequence has what a client sends, valid and broken, and what comes back from speech detection and from the engine, in
an order that can happen. After each event, and at the end, the promises of `promises` must hold. The first failure
ends the run with the seed of its sequence.
"""

import argparse
import base64
import json
import random
import sys
from collections.abc import Callable
from typing import Any

from rapl_gateway.realtime.rules.commands import (
    AddAudio,
    BeginTurn,
    Close,
    Command,
    CommitTurn,
    DropTurn,
    EndedBy,
    Send,
    ToDetector,
)
from rapl_gateway.realtime.rules.config import SessionConfig
from rapl_gateway.realtime.rules.events import ServerEvents, random_id
from rapl_gateway.realtime.rules.session_rules import SessionRules
from rapl_gateway.realtime.turn_text import TextDelta, TurnCompleted
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.live_audio import Flush, Flushed, LiveOptions, SpeechStarted, SpeechStopped

MAX_EVENTS = 60
MODELS = ("whisper-1", "gpt-live-transcribe")
JUNK: tuple[Any, ...] = (None, True, 0, -1, 1e308, "", "x", [], {}, [None], {"type": None}, "\ud83d\ude00", "é" * 300)
FIELDS: dict[str, tuple[Any, ...]] = {
    "format": ({"type": "audio/pcm", "rate": 16000}, {"type": "audio/pcmu"}, {"type": "audio/pcm", "rate": 1}, "pcm16"),
    "transcription": ({"model": "gpt-live-transcribe"}, {"model": "no/such"}, {"language": "de"}, {"keywords": ["a"]}),
    "turn_detection": (
        None, {"type": "server_vad"}, {"type": "semantic_vad", "eagerness": "low"}, {"type": "none"}, {"threshold": 9},
    ),
    "noise_reduction": (None, {"type": "near_field"}),
}  # fmt: skip
TYPES = (
    "session.update", "transcription_session.update", "input_audio_buffer.append", "input_audio_buffer.commit",
    "input_audio_buffer.clear", "conversation.item.retrieve", "conversation.item.delete", "response.create",
)  # fmt: skip


def require_model(name: str) -> None:
    if name not in MODELS:
        raise ServiceError(ErrorCode.MODEL_NOT_FOUND, "no such model")


class Sequence:
    """One random session: the rules, and a model of what they talk to."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.events = ServerEvents("sess_1", 0, self.random.random() < 0.2, random_id)
        config = SessionConfig(default_model="whisper-1")
        self.rules = SessionRules(
            self.events, config, require_model=require_model, new_id=random_id, max_turn_s=self.random.choice([0.5, 60])
        )
        self.flushes = 0
        """Flushes that have not come back."""
        self.pending_audio = 0
        self.open: str | None = None
        self.waiting: list[str] = []
        """Items that are committed and have no text yet."""
        self.texts: dict[str, str] = {}
        self.sent: list[dict[str, Any]] = []
        self.close: Close | None = None
        self.is_detector_live = True
        self.take(self.rules.begin())

    def take(self, commands: list[Command]) -> None:
        for command in commands:
            assert self.close is None, "nothing follows the end of the connection"
            match command:
                case Send(event=event):
                    json.dumps(event)
                    self.sent.append(event)
                case ToDetector(message=Flush()):
                    self.flushes += 1
                case ToDetector(message=bytes()):
                    self.pending_audio += 1
                case ToDetector(message=LiveOptions()):
                    pass
                case BeginTurn(item_id=item_id):
                    assert self.open is None, "only one turn is open at a time"
                    self.open = item_id
                    self.texts[item_id] = ""
                case AddAudio(item_id=item_id):
                    assert item_id == self.open, "audio goes to the open turn"
                case CommitTurn(item_id=item_id):
                    assert item_id == self.open, "the open turn is committed"
                    self.open = None
                    self.waiting.append(item_id)
                case DropTurn(item_id=item_id):
                    assert item_id == self.open, "the open turn is dropped"
                    self.open = None
                case Close():
                    self.close = command
                case other:
                    raise AssertionError(f"unknown command {other}")

    # What can happen.

    def client(self) -> None:
        self.take(self.rules.on_message(self._message()))

    def audio(self) -> None:
        if self.is_detector_live:
            self.take(self.rules.on_live(bytes(2 * self.random.choice([1, 160, 1600, 8000]))))

    def started(self) -> None:
        if self.is_detector_live:
            at_sample = max(0, self.rules.buffer.position - self.random.randrange(20_000))
            self.take(self.rules.on_live(SpeechStarted(at_sample=at_sample)))

    def stopped(self) -> None:
        if self.is_detector_live:
            at_sample = max(0, self.rules.buffer.position - self.random.randrange(8_000))
            self.take(self.rules.on_live(SpeechStopped(at_sample=at_sample)))

    def flushed(self) -> None:
        if self.is_detector_live and self.flushes:
            self.flushes -= 1
            self.take(self.rules.on_live(Flushed(at_sample=self.rules.buffer.position)))

    def delta(self) -> None:
        if item_id := self._any([*self.waiting, *([self.open] if self.open else [])]):
            word = self.random.choice(["a", " b", "中"])
            self.texts[item_id] += word
            self.take(self.rules.on_delta(item_id, TextDelta(word)))

    def completed(self) -> None:
        if item_id := self._any(self.waiting):
            self.waiting.remove(item_id)
            self.take(self.rules.on_completed(item_id, TurnCompleted(self.texts[item_id], 1.0)))

    def failed(self) -> None:
        if item_id := self._any(self.waiting):
            self.waiting.remove(item_id)
            self.take(self.rules.on_failed(item_id, ServiceError(ErrorCode.BACKEND_TIMEOUT, "too late")))

    def detector_failed(self) -> None:
        if self.is_detector_live and self.random.random() < 0.05:
            self.is_detector_live = False
            self.take(self.rules.on_detector_failed(ServiceError(ErrorCode.BACKEND_UNAVAILABLE, "gone")))

    def end(self) -> None:
        if self.random.random() < 0.05:
            self.take(self.rules.end(EndedBy.IDLE, "the end"))

    def finish(self) -> None:
        """The server stops: all that was sent comes back, and every turn gets its text."""
        if self.close is None:
            self.take(self.rules.end(EndedBy.SHUTDOWN, "the server stops"))
        if self.close is None and self.random.random() < 0.2:
            self.take(self.rules.give_up(ServiceError(ErrorCode.BACKEND_TIMEOUT, "too late")))
        while self.close is None and self.is_detector_live and self.flushes:
            self.flushed()
        while self.close is None and self.waiting:
            self.completed()

    def _any(self, items: list[str]) -> str | None:
        return self.random.choice(items) if items else None

    def _message(self) -> str | bytes:
        if self.random.random() < 0.03:
            return self.random.choice([b"\x00", "{", "[]", "null", '{"type":', "\x00", "1e999"])
        event: dict[str, Any] = {"type": self.random.choice([*TYPES, *TYPES[2:5], *TYPES[2:4]])}
        if event["type"].endswith("update"):
            event["session"] = self._session()
        elif event["type"].endswith("append"):
            event["audio"] = base64.b64encode(bytes(self.random.randrange(5_000))).decode()
        elif ".item." in event["type"]:
            event["item_id"] = self._any([*self.texts, "item_0"])
        if self.random.random() < 0.05:
            event[self.random.choice([*event, "event_id"])] = self.random.choice(JUNK)
        return json.dumps(event)

    def _session(self) -> Any:
        sent = {name: self.random.choice(values) for name, values in FIELDS.items() if self.random.random() < 0.3}
        if self.random.random() < 0.1:
            sent[self.random.choice([*FIELDS])] = self.random.choice(JUNK)
        if self.random.random() < 0.3:
            return {f"input_audio_{name}" if name != "turn_detection" else name: value for name, value in sent.items()}
        return {"type": "transcription", "audio": {"input": sent}, "include": self.random.choice([None, ["x"], []])}


def promises(session: Sequence) -> None:
    """What must hold for what was sent when a session has ended."""
    names = [event["type"] for event in session.sent]
    assert names[0].endswith("session.created")
    assert len({event["event_id"] for event in session.sent}) == len(session.sent), "each event has its own id"
    committed = [event for event in session.sent if event["type"] == "input_audio_buffer.committed"]
    items = [event["item_id"] for event in committed]
    assert len({*items}) == len(items), "each item is committed once"
    assert [event["previous_item_id"] for event in committed] == [None, *items][: len(items)]
    ended = [event for event in session.sent if event["type"].endswith((".completed", ".failed"))]
    assert session.close is not None, "the session ends"
    if session.close.code != 1008:
        assert sorted(event["item_id"] for event in ended) == sorted(items), "each item gets its text or a failure"
    for event in ended:
        at = session.sent.index(event)
        assert event["item_id"] in items[: sum(each["type"].endswith("committed") for each in session.sent[:at])]
        deltas = [
            each for each in session.sent if each["type"].endswith(".delta") and each["item_id"] == event["item_id"]
        ]
        assert all(session.sent.index(each) < at for each in deltas), "no delta follows the end of its item"
        if event["type"].endswith(".completed"):
            assert "".join(each["delta"] for each in deltas) == event["transcript"]


def run(seed: int) -> None:
    """Runs one sequence. Raises: AssertionError, or whatever the rules raise."""
    session = Sequence(seed)
    happenings: list[Callable[[], None]] = [
        session.client, session.client, session.client, session.audio, session.audio, session.started, session.stopped,
        session.flushed, session.flushed, session.delta, session.completed, session.failed, session.detector_failed,
        session.end,
    ]  # fmt: skip
    for _ in range(session.random.randrange(1, MAX_EVENTS)):
        if session.close is None:
            session.random.choice(happenings)()
    session.finish()
    promises(session)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0, help="seed of the first sequence; the next has the next number")
    arguments = parser.parse_args()
    for seed in range(arguments.seed, arguments.seed + arguments.sequences):
        try:
            run(seed)
        except Exception:
            print(f"the sequence with seed {seed} failed", file=sys.stderr)
            raise
    print(f"{arguments.sequences} sequences hold")
    return 0


if __name__ == "__main__":
    sys.exit(main())
