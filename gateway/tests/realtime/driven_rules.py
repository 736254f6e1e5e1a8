"""Drives the rules of a session as a session does, without connections: flushes come back when a test wants it."""

import base64
import itertools
import json
from typing import Any

from rapl_gateway.realtime.rules.commands import Command, Send, ToDetector
from rapl_gateway.realtime.rules.config import SessionConfig
from rapl_gateway.realtime.rules.events import ServerEvents
from rapl_gateway.realtime.rules.session_rules import SessionRules
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.live_audio import Flush, Flushed, SpeechStarted, SpeechStopped

MODELS = ("whisper-1", "gpt-live-transcribe", "gpt-realtime-whisper-2026-01-01", "rapl/selftest")
TENTH = bytes(3200)
"""A tenth of a second at 16 kHz."""


def require_model(name: str) -> None:
    if name not in MODELS:
        raise ServiceError(ErrorCode.MODEL_NOT_FOUND, "no such model", param="session.audio.input.transcription.model")


class Driven:
    """A session's rules, and everything that they have commanded.

    Args:
        session: the session object of the first update.
        is_flat: whether the client uses the older form.
        max_turn_s: longest turn.
    """

    def __init__(self, session: dict[str, Any] | None = None, *, is_flat: bool = False, max_turn_s: float = 60) -> None:
        numbers = itertools.count(1)
        new_id = lambda prefix: f"{prefix}_{next(numbers)}"  # noqa: E731
        config = SessionConfig(default_model="whisper-1")
        config = config.updated(session) if session else config
        events = ServerEvents("sess_1", 1_800_000_000, is_flat, new_id)
        self.rules = SessionRules(events, config, require_model=require_model, new_id=new_id, max_turn_s=max_turn_s)
        self.commands: list[Command] = []
        self.take(self.rules.begin())

    def take(self, commands: list[Command]) -> list[Command]:
        self.commands += commands
        return commands

    def send(self, event: object) -> list[Command]:
        """The client sends this event; bytes and text are sent as they are."""
        return self.take(self.rules.on_message(event if isinstance(event, str | bytes) else json.dumps(event)))

    def update(self, **given: object) -> list[Command]:
        return self.send({"type": "session.update", "session": {"audio": {"input": given}}})

    def append(self, pcm: bytes = TENTH) -> list[Command]:
        return self.send({"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode()})

    def audio(self, pcm: bytes = TENTH) -> list[Command]:
        return self.take(self.rules.on_live(pcm))

    def started(self, at_sample: int | None = None) -> list[Command]:
        at_sample = self.rules.buffer.position - 800 if at_sample is None else at_sample
        return self.take(self.rules.on_live(SpeechStarted(at_sample=at_sample)))

    def stopped(self, at_sample: int | None = None) -> list[Command]:
        return self.take(self.rules.on_live(SpeechStopped(at_sample=at_sample or self.rules.buffer.position)))

    def flushed(self) -> list[Command]:
        return self.take(self.rules.on_live(Flushed(at_sample=self.rules.buffer.position)))

    def commit(self) -> list[Command]:
        return [*self.send({"type": "input_audio_buffer.commit"}), *self.flushed()]

    def clear(self) -> list[Command]:
        return [*self.send({"type": "input_audio_buffer.clear"}), *self.flushed()]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [command.event for command in self.commands if isinstance(command, Send)]

    def events_of(self, *names: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"].endswith(names)]


def summary(commands: list[Command]) -> list[str]:
    """The last part of each event's type, and the names of the other commands, without flushes."""
    return [
        command.event["type"].rpartition(".")[2] if isinstance(command, Send) else type(command).__name__
        for command in commands
        if command != ToDetector(Flush())
    ]
