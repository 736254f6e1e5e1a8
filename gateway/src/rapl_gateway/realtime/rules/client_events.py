"""Reads the events of a client: their size, their JSON, and the fields that one event needs."""

import asyncio
from typing import Any, cast

from pydantic_core import from_json
from rapl_protocol.errors import ErrorCode, ServiceError

from rapl_gateway.api.json_body import from_base64

MAX_EVENT_BYTES = 15 << 20
"""Largest event of a client, in bytes. Source: OpenAI's limit for `input_audio_buffer.append`."""
APPEND = "input_audio_buffer.append"
_MAX_OTHER_EVENT_BYTES = 1 << 20
"""Largest event that has no audio, in bytes."""
_MAX_ID = 512
_PIECE = 256 << 10
"""Characters of base64 that are decoded at once, in half a millisecond; a multiple of four. A thread would not help:
the decoder keeps the interpreter's lock."""


async def decoded_append(message: str | bytes) -> dict[str, Any] | None:
    """Returns an append of more than 1 MiB, with its audio as bytes. It is decoded in pieces, so that other sessions go
    on meanwhile. None: the message is smaller or something else, or its base64 is broken or has line breaks."""
    if isinstance(message, bytes) or not _MAX_OTHER_EVENT_BYTES < len(message) <= MAX_EVENT_BYTES:
        return None
    try:
        event = parsed(message)
    except ServiceError:
        return None  # the rules find the same error and answer it
    text = event.get("audio")
    if event.get("type") != APPEND or not isinstance(text, str):
        return None
    audio = bytearray()
    for at in range(0, len(text), _PIECE):
        piece = text[at : at + _PIECE]
        try:
            audio += from_base64(piece, "audio")
        except ServiceError:
            return None
        is_last = at + _PIECE >= len(text)
        if not is_last and len(audio) * 4 != (at + _PIECE) * 3:
            return None
        await asyncio.sleep(0)
    return {**event, "audio": bytes(audio)}


def parsed(message: str | bytes) -> dict[str, Any]:
    """Returns the event in a message. Raises: ServiceError."""
    if isinstance(message, bytes):
        raise invalid("type", f"send events as text: audio goes into `{APPEND}`, in base64")
    if len(message) > MAX_EVENT_BYTES:
        raise ServiceError(ErrorCode.AUDIO_TOO_LARGE, f"an event may have {MAX_EVENT_BYTES >> 20} MiB", param="audio")
    try:
        event: Any = from_json(message)
    except ValueError:
        raise ServiceError(ErrorCode.INVALID_REQUEST, "the event is not JSON") from None
    if not isinstance(event, dict):
        raise ServiceError(ErrorCode.INVALID_REQUEST, "an event must be a JSON object")
    return cast("dict[str, Any]", event)


def require_size(event: dict[str, Any], size_bytes: int) -> None:
    """Raises: ServiceError, if the event is larger than any without audio need be."""
    if size_bytes > _MAX_OTHER_EVENT_BYTES and event.get("type") != APPEND:
        raise invalid("type", f"an event without audio may have {_MAX_OTHER_EVENT_BYTES >> 20} MiB")


def session_of(event: dict[str, Any]) -> dict[str, Any]:
    """The session object of an update. Raises: ServiceError."""
    session = event.get("session")
    if not isinstance(session, dict):
        raise invalid("session", "'session' must be an object")
    return cast("dict[str, Any]", session)


def id_of(event: object) -> str | None:
    """The id that the client gave the event, for the answer to it."""
    event_id = cast("dict[str, Any]", event).get("event_id") if isinstance(event, dict) else None
    return event_id[:_MAX_ID] if isinstance(event_id, str) else None


def invalid(field: str, message: str) -> ServiceError:
    return ServiceError(ErrorCode.INVALID_REQUEST, message, param=field)


def unknown_event(name: object) -> ServiceError:
    shown = repr(name[:64]) if isinstance(name, str) else "without a type"
    return invalid("type", f"an event {shown} is not supported: RAPL transcribes, and has no conversations")
