"""Batches: the parts of a response as bytes, each with its fields for the request's log line."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from rapl_protocol.prepared import (
    PreparedEvent,
    PrepareEnd,
    PrepareProgress,
    SourceInfo,
    SpeechSegment,
)
from rapl_protocol.wire import encode_prepared_event

from rapl_preprocess.media.damage import as_text


@dataclass(frozen=True, slots=True)
class Batch:
    """Frames that are sent together.

    A batch ends with a segment or a progress report. The last batch contains the end.
    """

    body: bytes
    """The encoded frames, one after the other."""
    log_fields: dict[str, Any] = field(default_factory=dict)
    """Fields for the request's log line."""
    damage: str | None = None
    """What could not be read, as text for the log."""
    is_last: bool = False


def in_batches(events: Iterable[PreparedEvent | PrepareProgress]) -> Iterator[Batch]:
    """Groups events into batches. Each segment and each progress report ends a batch, so that it is sent at once."""
    frames: list[bytes | memoryview] = []
    fields: dict[str, Any] = {}
    damage = None
    for event in events:
        if isinstance(event, PrepareEnd):
            damage = as_text(event.media.damage)
        frames += encode_prepared_event(event)
        fields |= fields_of(event)
        if isinstance(event, SpeechSegment | PrepareProgress):
            yield Batch(b"".join(frames), fields)
            frames, fields = [], {}
    yield Batch(b"".join(frames), fields, damage, is_last=True)


def fields_of(event: PreparedEvent | PrepareProgress) -> dict[str, Any]:
    """Returns the fields that an event adds to the request's log line."""
    match event:
        case SourceInfo():
            return {"container": event.container.partition(",")[0], "codec": event.codec}
        case PrepareEnd(speech_s=None):
            return {"audio_s": event.duration_s}
        case PrepareEnd():
            return {"audio_s": event.duration_s, "speech_s": event.speech_s}
        case _:
            return {}
