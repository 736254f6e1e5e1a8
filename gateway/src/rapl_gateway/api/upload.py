"""Receives a form, as multipart or as JSON. Its size is limited while it arrives, and large files are kept in an
anonymous temporary file."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_service.http.body import drain
from rapl_service.http.upload import Upload, UploadStorage
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import Receive

from rapl_gateway.api.json_body import MAX_FIELDS, MAX_FIELDS_BYTES, max_bytes_of, parse_json, unreadable
from rapl_gateway.timing import Stage, Stopwatch

_MAX_FILES = 8
IN_MEMORY_BYTES = 1 << 20
MAX_JSON_BYTES = 36 << 20
"""Largest JSON body: OpenAI's 25 MB of audio in base64. Parsing takes 100 MB of memory, and 220 MB if the base64 has
line breaks."""
_MAX_PART_HEADER_BYTES = 16 << 10
_MAX_PART_HEADERS = 32
_REST_IS_READ = frozenset({ErrorCode.AUDIO_TOO_LARGE, ErrorCode.STORAGE_FAILED, ErrorCode.OVERLOADED})
"""Errors after which the rest of the body is read and discarded: the client may still be sending."""


@dataclass(slots=True)
class Form:
    """The fields and files of a form."""

    fields: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """All values of each field, in the order in which they were sent."""
    files: dict[str, Upload] = field(default_factory=dict[str, Upload])
    storage: UploadStorage = field(default_factory=UploadStorage)
    """Counts what is in temporary files."""

    def close(self) -> None:
        for upload in self.files.values():
            upload.close()


class _Body:
    """The body of a request, which is refused if it is larger than `max_bytes`."""

    def __init__(self, receive: Receive, max_bytes: int) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._has_more = True

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Raises: ServiceError, AUDIO_TOO_LARGE, or INVALID_REQUEST if the client disconnects."""
        seen_bytes = 0
        while self._has_more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise _invalid("the client disconnected before the request was complete")
            piece, self._has_more = message.get("body", b""), message.get("more_body", False)
            seen_bytes += len(piece)
            if seen_bytes > self._max_bytes:
                text = f"Maximum content size limit ({self._max_bytes}) exceeded"
                raise ServiceError(ErrorCode.AUDIO_TOO_LARGE, text, param="file")
            yield piece

    async def discard_rest(self) -> None:
        if self._has_more:
            await drain(self._receive)


async def received_form(
    request: Request, max_bytes: int, storage: UploadStorage, stopwatch: Stopwatch, json_turn: asyncio.Lock
) -> Form:
    """Reads a body, with or without Content-Length, and returns the form. The caller must close it.

    Args:
        request: its body is multipart, or JSON as Open WebUI sends it.
        max_bytes: the largest body; a JSON body may also have at most MAX_JSON_BYTES.
        storage: counts what is in temporary files.
        stopwatch: measures the stage "receive".
        json_turn: held while a JSON body is parsed, so that only one at a time needs the memory.

    Raises:
        ServiceError: AUDIO_TOO_LARGE if the body is larger than allowed, STORAGE_FAILED or OVERLOADED if it cannot be
            stored: the rest is read and discarded first, because a client that is still sending would not read the
            response. UNSUPPORTED_ENCODING if the body is compressed. INVALID_REQUEST if it is not a form or is
            incomplete.
    """
    await _refuse_compressed(request)
    media_type, options = parse_options_header(request.headers.get("content-type", ""))
    is_json = media_type == b"application/json"
    if not is_json and media_type != b"multipart/form-data":
        raise _invalid("the body must be multipart/form-data, as OpenAI's clients send it")
    if not is_json and b"boundary" not in options:
        raise unreadable("the Content-Type header has no boundary")
    form, body = Form(storage=storage), _Body(request.receive, min(max_bytes, MAX_JSON_BYTES) if is_json else max_bytes)
    try:
        with stopwatch.stage(Stage.RECEIVE):
            await (_read_json(body, form, json_turn) if is_json else _read(body, options[b"boundary"], form))
    except ServiceError as error:
        form.close()  # its space is free while the rest is read
        if error.code in _REST_IS_READ:
            await body.discard_rest()
        raise
    except BaseException:
        form.close()
        raise
    return form


async def _refuse_compressed(request: Request) -> None:
    """Raises: ServiceError, UNSUPPORTED_ENCODING, if the body is not sent as it is."""
    content = request.headers.getlist("content-encoding")
    transfer = request.headers.getlist("transfer-encoding")
    codings = {coding.strip().lower() for value in content + transfer for coding in value.split(",")}
    unknown = codings - {"", "identity", "chunked"}
    if unknown:
        await drain(request.receive)
        message = "The body is compressed, which saves nothing for audio. Send it without Content-Encoding."
        raise ServiceError(ErrorCode.UNSUPPORTED_ENCODING, message)


async def _read(body: _Body, boundary: bytes, form: Form) -> None:
    parts = _Parts(form)
    try:
        parser = parts.parser(boundary)
        async for piece in body.pieces():
            parser.write(piece)
            for upload in form.files.values():
                await upload.spool()
    except FormParserError as error:
        raise unreadable(str(error)) from error
    if not parts.has_ended:
        raise unreadable("it ends before its last boundary")
    for upload in form.files.values():
        await upload.end()


async def _read_json(body: _Body, form: Form, turn: asyncio.Lock) -> None:
    with Upload(IN_MEMORY_BYTES, form.storage) as text:
        async for piece in body.pieces():
            text.add(piece)
            await text.spool()
        await text.end()
        form.files["file"] = audio = Upload(IN_MEMORY_BYTES, form.storage)
        async with turn:
            audio.add(await run_in_threadpool(lambda: parse_json(bytes(text.content()), form.fields)))
            await audio.spool()
        await audio.end()


class _Parts:
    """Collects the parts of a form from the parser. A part named `file` is a file even without a file name: some
    clients send none."""

    def __init__(self, form: Form) -> None:
        self.has_ended = False
        self._form = form
        self._header, self._value, self._disposition = b"", b"", b""
        self._name, self._text = "", bytearray()
        self._upload: Upload | None = None
        self._fields = self._fields_bytes = self._files = 0

    def parser(self, boundary: bytes) -> MultipartParser:
        """Returns a parser that calls these methods. The parser is not stored in this object, because
        the reference cycle would keep the file open.

        Raises:
            FormParserError: the boundary is invalid.
        """
        callbacks: Any = {
            "on_header_field": self._on_header,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_part,
            "on_part_data": self._on_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }
        limits = {"max_header_count": _MAX_PART_HEADERS, "max_header_size": _MAX_PART_HEADER_BYTES}
        return MultipartParser(boundary, callbacks, **limits)

    def _on_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header, self._value = b"", b""

    def _on_part(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name, self._text, self._upload = _decoded(options.get(b"name", b"")), bytearray(), None
        self._disposition = b""
        if not self._name:
            raise unreadable("a part has no name")
        if b"filename" not in options and self._name != "file":
            self._fields += 1
            if self._fields > MAX_FIELDS:
                raise unreadable(f"it has more than {MAX_FIELDS} fields")
            return
        self._files += 1
        if self._files > _MAX_FILES:
            raise unreadable(f"it has more than {_MAX_FILES} files")
        if replaced := self._form.files.get(self._name):
            replaced.close()
        self._form.files[self._name] = self._upload = Upload(IN_MEMORY_BYTES, self._form.storage)

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        piece = data[start:end]
        if self._upload:
            self._upload.add(piece)
            return
        self._text += piece
        self._fields_bytes += len(piece)
        if len(self._text) > (most_bytes := max_bytes_of(self._name)):
            raise unreadable(f"a field is larger than {most_bytes >> 10} kB")
        if self._fields_bytes > MAX_FIELDS_BYTES:
            raise unreadable(f"its fields are larger than {MAX_FIELDS_BYTES >> 20} MB")

    def _on_part_end(self) -> None:
        if not self._upload:
            self._form.fields.setdefault(self._name, []).append(_decoded(self._text))

    def _on_end(self) -> None:
        self.has_ended = True


def _decoded(text: bytes | bytearray) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _invalid(message: str) -> ServiceError:
    return ServiceError(ErrorCode.INVALID_REQUEST, message)
