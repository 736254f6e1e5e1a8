"""Receives media as the body of a request."""

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_service.http.body import drain
from rapl_service.http.upload import Upload
from starlette.requests import Request
from starlette.types import Receive

IN_MEMORY_BYTES = 2 << 20
"""Largest upload in memory: a minute in most compressed formats. A larger file is written to disk, because an mp4 has
to be read at several positions."""


async def receive_media(request: Request, max_bytes: int) -> Upload:
    """Reads a body of at most `max_bytes`. The caller closes the upload.

    Raises:
        ServiceError: AUDIO_TOO_LARGE for a larger body; the rest is read and discarded first, because a client that is
            still sending would not see the response. INVALID_REQUEST if the client disconnected. STORAGE_FAILED if the
            disk is full.
    """
    upload = Upload(IN_MEMORY_BYTES)
    try:
        has_more = True
        while has_more:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise ServiceError(ErrorCode.INVALID_REQUEST, "The connection closed before the end of the upload.")
            has_more = message.get("more_body", False)
            upload.add(message.get("body", b""))
            if upload.size_bytes > max_bytes:
                if has_more:
                    await drain(request.receive, max_bytes)
                text = f"The file is larger than {max_bytes} bytes, which is the limit of this server."
                raise ServiceError(ErrorCode.AUDIO_TOO_LARGE, text, param="file")
            await _stored(upload, request.receive if has_more else None)
        await upload.end()
    except BaseException:
        upload.close()
        raise
    return upload


async def _stored(upload: Upload, rest: Receive | None) -> None:
    try:
        await upload.spool()
    except ServiceError:
        if rest:
            await drain(rest)
        raise
