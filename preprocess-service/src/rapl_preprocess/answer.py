"""Writes prepared events as an HTTP answer."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from fastapi.responses import Response, StreamingResponse
from rapl_protocol.errors import ServiceError
from rapl_protocol.frames import CONTENT_TYPE, encode_frame
from rapl_protocol.prepared import (
    PreparedEvent,
    PrepareEnd,
    PrepareProgress,
    SegmentHeader,
    SourceInfo,
    SpeechSegment,
)
from starlette.types import Receive, Scope, Send

Batch = list[PreparedEvent | PrepareProgress]
Batches = AsyncGenerator[Batch, None]


async def answer(batches: Batches, log_fields: dict[str, Any]) -> Response:
    """Answers as soon as the first batch is there; where that is all, as of a clip without speech, at one blow.

    Raises:
        ServiceError: whatever happens before the first batch; what happens later becomes a frame.
    """
    first = await anext(batches)
    _note(first, log_fields)
    if isinstance(first[-1], PrepareEnd):
        await batches.aclose()
        return Response(b"".join(map(_frame, first)), media_type=CONTENT_TYPE)
    return _Stream(first, batches, log_fields)


class _Stream(StreamingResponse):
    """Frames as they are made. When the client goes away, the making ends."""

    def __init__(self, first: Batch, batches: Batches, log_fields: dict[str, Any]) -> None:
        self._frames = _frames(first, batches, log_fields)
        self._batches = batches
        super().__init__(self._frames, media_type=CONTENT_TYPE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._frames.aclose()
            await self._batches.aclose()


async def _frames(
    first: Batch, batches: AsyncIterator[Batch], log_fields: dict[str, Any]
) -> AsyncGenerator[bytes, None]:
    for event in first:
        yield _frame(event)
    try:
        async for batch in batches:
            _note(batch, log_fields)
            for event in batch:
                yield _frame(event)
    except ServiceError as error:
        log_fields["error"] = error.code.value
        yield encode_frame({"type": "error", **error.envelope()})


def _frame(event: PreparedEvent | PrepareProgress) -> bytes:
    match event:
        case SpeechSegment():
            header = SegmentHeader(start_s=event.start_s, end_s=event.end_s, speech_s=event.speech_s)
            return encode_frame(header.model_dump(exclude_none=True), event.audio.pcm)
        case _:
            return encode_frame(event.model_dump())


def _note(batch: Batch, log_fields: dict[str, Any]) -> None:
    for event in batch:
        match event:
            case SourceInfo():
                log_fields.update(container=event.container.partition(",")[0], codec=event.codec)
            case PrepareEnd():
                log_fields["audio_s"] = f"{event.duration_s:.2f}"
                if event.speech_s is not None:
                    log_fields["speech_s"] = f"{event.speech_s:.2f}"
