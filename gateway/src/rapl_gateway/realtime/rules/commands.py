"""What the rules of a session tell it to do, in order."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rapl_protocol.errors import ServiceError
from rapl_protocol.live_audio import LiveControl

from rapl_gateway.realtime.rules.config import SessionConfig


class EndedBy(StrEnum):
    """What ends a session."""

    CLIENT = "client"
    IDLE = "idle"
    TOO_LONG = "too_long"
    SHUTDOWN = "shutdown"
    TOO_MANY_ERRORS = "too_many_errors"
    SLOW_CLIENT = "slow_client"
    NO_DETECTION = "no_detection"
    INTERNAL = "internal"


_CLOSE_CODES = {
    EndedBy.IDLE: 1001,
    EndedBy.TOO_LONG: 1001,
    EndedBy.TOO_MANY_ERRORS: 1008,
    EndedBy.SLOW_CLIENT: 1008,
    EndedBy.NO_DETECTION: 1011,
    EndedBy.SHUTDOWN: 1012,
}
"""Source: RFC 6455, 7.4.1, and https://www.iana.org/assignments/websocket."""


@dataclass(frozen=True, slots=True)
class Send:
    """Sends an event to the client."""

    event: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ToDetector:
    """Sends audio as the client encoded it, new options or a flush to preprocess-service."""

    message: bytes | LiveControl


@dataclass(frozen=True, slots=True)
class BeginTurn:
    """Begins the text of a turn. Audio follows."""

    item_id: str
    config: SessionConfig
    is_detected: bool
    """Whether speech was detected at its beginning."""


@dataclass(frozen=True, slots=True)
class AddAudio:
    """Adds audio to a turn that has begun and is not committed."""

    item_id: str
    pcm: bytes
    """16 kHz mono s16le."""


@dataclass(frozen=True, slots=True)
class CommitTurn:
    """Ends a turn's audio. Its text follows, by `SessionRules.on_completed` or `on_failed`."""

    item_id: str


@dataclass(frozen=True, slots=True)
class DropTurn:
    """Cancels the text of a turn. Nothing more is expected of it."""

    item_id: str
    error: ServiceError | None = None
    """The error that the client gets instead of its text; None if it does not wait for one."""


@dataclass(frozen=True, slots=True)
class Close:
    """Closes the connection after the events before it. It is the last command."""

    ended_by: EndedBy
    """Neither CLIENT nor INTERNAL."""
    reason: str

    @property
    def code(self) -> int:
        return _CLOSE_CODES[self.ended_by]


Command = Send | ToDetector | BeginTurn | AddAudio | CommitTurn | DropTurn | Close
