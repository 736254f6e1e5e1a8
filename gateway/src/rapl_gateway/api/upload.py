"""Receives a multipart form. Its size is limited while it arrives, and large files are kept in an anonymous temporary
file."""

from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_service.http.body import drain
from rapl_service.http.upload import Upload, UploadStorage
from starlette.requests import Request
from starlette.types import Receive

from rapl_gateway.timing import Stopwatch

_MAX_FIELDS = 200
_MAX_FILES = 8
_MAX_FIELD_BYTES = 1 << 20
_IN_MEMORY_BYTES = 1 << 20
_MAX_PART_HEADER_BYTES = 16 << 10
_MAX_PART_HEADERS = 32


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


async def received_form(request: Request, max_bytes: int, storage: UploadStorage, stopwatch: Stopwatch) -> Form:
    """Reads a multipart body, with or without Content-Length, and returns the form. The caller must close it.

    Raises:
        ServiceError: AUDIO_TOO_LARGE if the body is larger than `max_bytes`. The rest is read and discarded first,
            because a client that is still sending would not read the response. INVALID_REQUEST if the body is not a
            form or is incomplete. STORAGE_FAILED or OVERLOADED if it cannot be stored.
    """
    content_type = request.headers.get("content-type", "")
    if not content_type.lower().startswith("multipart/form-data"):
        raise _invalid("the body must be multipart/form-data, as OpenAI's clients send it")
    _, options = parse_options_header(content_type)
    if b"boundary" not in options:
        raise _unreadable("the Content-Type header has no boundary")
    form = Form(storage=storage)
    try:
        with stopwatch.stage("receive"):
            await _read(request.receive, options[b"boundary"], form, max_bytes)
    except BaseException:
        form.close()
        raise
    return form


async def _read(receive: Receive, boundary: bytes, form: Form, max_bytes: int) -> None:
    seen_bytes, has_more = 0, True
    parts = _Parts(form)
    try:
        parser = parts.parser(boundary)
        while has_more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _invalid("the client disconnected before the request was complete")
            body, has_more = message.get("body", b""), message.get("more_body", False)
            seen_bytes += len(body)
            if seen_bytes > max_bytes:
                form.close()  # so that its space is free while the rest is read
                if has_more:
                    await drain(receive)
                text = f"Maximum content size limit ({max_bytes}) exceeded"
                raise ServiceError(ErrorCode.AUDIO_TOO_LARGE, text, param="file")
            parser.write(body)
            await _stored(form, receive if has_more else None)
    except FormParserError as error:
        raise _unreadable(str(error)) from error
    if not parts.has_ended:
        raise _unreadable("it ends before its last boundary")
    for upload in form.files.values():
        await upload.end()


async def _stored(form: Form, rest: Receive | None) -> None:
    """Writes what has arrived to temporary files, if it is large. If that fails, the space is given back before the
    rest of the body is read and discarded."""
    try:
        for upload in form.files.values():
            await upload.spool()
    except ServiceError:
        form.close()
        if rest:
            await drain(rest)
        raise


class _Parts:
    """Collects the parts of a form from the parser. A part named `file` is a file even without a file name: some
    clients send none."""

    def __init__(self, form: Form) -> None:
        self.has_ended = False
        self._form = form
        self._header, self._value, self._disposition = b"", b"", b""
        self._name, self._text = "", b""
        self._upload: Upload | None = None
        self._fields = self._files = 0

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
        self._name, self._text, self._upload = _decoded(options.get(b"name", b"")), b"", None
        self._disposition = b""
        if not self._name:
            raise _unreadable("a part has no name")
        if b"filename" not in options and self._name != "file":
            self._fields += 1
            if self._fields > _MAX_FIELDS:
                raise _unreadable(f"it has more than {_MAX_FIELDS} fields")
            return
        self._files += 1
        if self._files > _MAX_FILES:
            raise _unreadable(f"it has more than {_MAX_FILES} files")
        if replaced := self._form.files.get(self._name):
            replaced.close()
        self._form.files[self._name] = self._upload = Upload(_IN_MEMORY_BYTES, self._form.storage)

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        piece = data[start:end]
        if self._upload:
            self._upload.add(piece)
            return
        self._text += piece
        if len(self._text) > _MAX_FIELD_BYTES:
            raise _unreadable(f"a field is larger than {_MAX_FIELD_BYTES >> 10} kB")

    def _on_part_end(self) -> None:
        if not self._upload:
            self._form.fields.setdefault(self._name, []).append(_decoded(self._text))

    def _on_end(self) -> None:
        self.has_ended = True


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _unreadable(why: str) -> ServiceError:
    return _invalid(f"the form cannot be read: {why}")


def _invalid(message: str) -> ServiceError:
    return ServiceError(ErrorCode.INVALID_REQUEST, message)
