"""Batches: the parts of a response, as bytes, with what the log says about them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from rapl_protocol.frames import encode_frame
from rapl_protocol.prepared import (
    PreparedEvent,
    PrepareEnd,
    PrepareProgress,
    SegmentHeader,
    SourceInfo,
    SpeechSegment,
)

from rapl_preprocess.media.decoding import Damage


@dataclass(frozen=True, slots=True)
class Batch:
    """The frames up to and including a segment or a progress report. The last batch contains the end."""

    body: bytes
    """Frames, one after the other."""
    log_fields: dict[str, Any] = field(default_factory=dict)
    """Fields for the request's log line."""
    damage: str | None = None
    """What could not be decoded, as text for the log."""
    is_last: bool = False


def in_batches(events: Iterable[PreparedEvent | PrepareProgress | Damage]) -> Iterator[Batch]:
    """Groups events into batches: each segment and each progress report ends one, so that it is sent at once."""
    frames: list[bytes] = []
    fields: dict[str, Any] = {}
    damage = None
    for event in events:
        if isinstance(event, Damage):
            damage = str(event)
            continue
        frames.append(_frame(event))
        fields |= fields_of(event)
        if isinstance(event, SpeechSegment | PrepareProgress):
            yield Batch(b"".join(frames), fields)
            frames, fields = [], {}
    yield Batch(b"".join(frames), fields, damage, is_last=True)


def _frame(event: PreparedEvent | PrepareProgress) -> bytes:
    match event:
        case SpeechSegment():
            header = SegmentHeader(start_s=event.start_s, end_s=event.end_s, speech_s=event.speech_s)
            return encode_frame(header.model_dump(exclude_none=True), event.audio.pcm)
        case _:
            return encode_frame(event.model_dump())


def fields_of(event: PreparedEvent | PrepareProgress) -> dict[str, Any]:
    """The fields of the request's log line that an event provides."""
    match event:
        case SourceInfo():
            return {"container": event.container.partition(",")[0], "codec": event.codec}
        case PrepareEnd(speech_s=None):
            return {"audio_s": f"{event.duration_s:.2f}"}
        case PrepareEnd():
            return {"audio_s": f"{event.duration_s:.2f}", "speech_s": f"{event.speech_s:.2f}"}
        case _:
            return {}
