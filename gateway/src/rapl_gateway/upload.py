"""Receives a request's form: bounded while it arrives, and spooled to an anonymous temporary file when large."""

import mmap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO

from python_multipart.multipart import parse_options_header
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.http import drain
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive

from rapl_gateway.timing import Stopwatch

_MAX_FIELDS = 200
_MAX_FIELD_BYTES = 1 << 20


class _TooLarge(Exception):
    pass


@asynccontextmanager
async def received_form(request: Request, max_bytes: int, stopwatch: Stopwatch) -> AsyncIterator[FormData]:
    """Reads a multipart body of any part order, with or without Content-Length; its files live as long as the context.

    Raises:
        ServiceError: AUDIO_TOO_LARGE as soon as more than `max_bytes` have come, once the rest has been read and
            thrown away: a client that is still sending would not see the answer. INVALID_REQUEST where the body is
            no form.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise ServiceError(
            ErrorCode.INVALID_REQUEST, "the body must be multipart/form-data, as OpenAI's clients send it"
        )
    with stopwatch.stage("receive"):
        form = await _read(request, max_bytes)
    try:
        yield form
    finally:
        await form.close()


async def _read(request: Request, max_bytes: int) -> FormData:
    stream = Request(request.scope, _bounded(request.receive, max_bytes)).stream()
    limits = {"max_files": 8, "max_fields": _MAX_FIELDS, "max_part_size": _MAX_FIELD_BYTES}
    try:
        return await _FormParser(request.headers, stream, **limits).parse()
    except _TooLarge:
        await drain(request.receive)
        message = f"Maximum content size limit ({max_bytes}) exceeded"
        raise ServiceError(ErrorCode.AUDIO_TOO_LARGE, message, param="file") from None
    except ClientDisconnect:
        raise ServiceError(ErrorCode.INVALID_REQUEST, "the request broke off") from None
    except MultiPartException as error:
        raise ServiceError(ErrorCode.INVALID_REQUEST, f"the form cannot be read: {error.message}") from error


class _FormParser(MultiPartParser):
    """Starlette's parser, but for two things.

    That one takes a part for a file only if it has a file name; some clients send none. And it takes a form that
    breaks off for a whole one: fields would be missing in silence.
    """

    _has_ended = False

    def on_end(self) -> None:
        self._has_ended = True

    async def parse(self) -> FormData:
        form = await super().parse()
        if not self._has_ended:
            for file in self._files_to_close_on_error:
                file.close()
            raise MultiPartException("it breaks off before its last boundary.")
        return form

    def on_headers_finished(self) -> None:
        part = self._current_part
        _, options = parse_options_header(part.content_disposition)
        if options.get(b"name") == b"file" and b"filename" not in options:
            part.content_disposition = (part.content_disposition or b"") + b'; filename=""'
        super().on_headers_finished()


def _bounded(receive: Receive, max_bytes: int) -> Receive:
    seen = 0

    async def receive_bounded() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > max_bytes:
            raise _TooLarge
        return message

    return receive_bounded


def content(upload: UploadFile) -> bytes | memoryview:
    """The upload's bytes: those in memory as they are, those on disk mapped, so that a large file costs no memory."""
    spooled: IO[bytes] = upload.file
    spooled.seek(0)
    if not getattr(spooled, "_rolled", True):
        return spooled.read()
    return memoryview(mmap.mmap(spooled.fileno(), 0, access=mmap.ACCESS_READ))
