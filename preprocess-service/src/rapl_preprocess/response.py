"""Sends batches as an HTTP response, whole or streamed."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator

from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from rapl_protocol.errors import ServiceError
from rapl_protocol.frames import CONTENT_TYPE
from rapl_protocol.wire import encode_error
from rapl_service.http.scope import log_fields, request_id
from starlette.types import Receive, Scope, Send

from rapl_preprocess.batches import Batch

Batches = AsyncGenerator[Batch, None]

log = logging.getLogger("rapl")


async def batch_response(request: Request, batches: Batches) -> Response:
    """Returns the response when the first batch is ready. If it is also the last batch, the response is not streamed.

    Raises:
        ServiceError: an error before the first batch. A later error is sent as a frame.
    """
    first = await anext(batches)
    _log_batch(request, first)
    if first.is_last:
        await batches.aclose()
        return Response(first.body, media_type=CONTENT_TYPE)
    return _Stream(request, first, batches)


class _Stream(StreamingResponse):
    """Sends frames as they are made. When the client disconnects, the generator is closed and the decoding stops."""

    def __init__(self, request: Request, first: Batch, batches: Batches) -> None:
        self._frames = _frames(request, first, batches)
        self._batches = batches
        super().__init__(self._frames, media_type=CONTENT_TYPE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._frames.aclose()
            await self._batches.aclose()


async def _frames(request: Request, first: Batch, batches: AsyncIterator[Batch]) -> AsyncGenerator[bytes, None]:
    yield first.body
    try:
        async for batch in batches:
            _log_batch(request, batch)
            yield batch.body
    except ServiceError as error:
        log_fields(request)["error"] = error.code.value
        yield encode_error(error)


def _log_batch(request: Request, batch: Batch) -> None:
    log_fields(request).update(batch.log_fields)
    if batch.damage:
        log.warning("request_id=%s damaged media: %s", request_id(request), batch.damage)
