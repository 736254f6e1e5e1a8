"""Receives a request's form: bounded while it arrives, and spooled to an anonymous temporary file when large."""

import mmap
import re
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from typing import IO

from multipart import MultipartError, MultipartSegment, PushMultipartParser
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.http import drain
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import Receive

from rapl_gateway.timing import Stopwatch

_MAX_FIELDS = 200
_MAX_FILES = 8
_MAX_FIELD_BYTES = 1 << 20
_IN_MEMORY_BYTES = 1 << 20
_MAX_PART_HEADER_BYTES = 16 << 10
_MAX_PART_HEADERS = 32
_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]+)"|([^;\s]+))', re.IGNORECASE)


class Upload:
    """A file that was sent: in memory while it is small; then on disk, but for what came last, until it is ended."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self._pieces: list[bytes] = []
        self._pieces_bytes = 0
        self._file: IO[bytes] | None = None

    async def write(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._pieces_bytes += len(piece)
        self.size_bytes += len(piece)
        if self._pieces_bytes > _IN_MEMORY_BYTES:
            await run_in_threadpool(self._spool)

    async def end(self) -> None:
        """To be called once, when all of it has been written."""
        if self._file is not None:
            await run_in_threadpool(self._spool)

    def content(self) -> bytes | memoryview:
        """All of it: what is in memory as it is; what is on disk mapped, so that a large file costs no memory."""
        if self._file is None:
            return b"".join(self._pieces)
        return memoryview(mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _spool(self) -> None:
        if self._file is None:
            self._file = TemporaryFile()  # noqa: SIM115 - it stays open until close()
        self._file.writelines(self._pieces)
        self._file.flush()
        self._pieces, self._pieces_bytes = [], 0


@dataclass(slots=True)
class Form:
    """What was sent, in any order of parts."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    """Every value of each, in their order."""
    files: dict[str, Upload] = field(default_factory=dict)

    def close(self) -> None:
        for upload in self.files.values():
            upload.close()


async def received_form(request: Request, max_bytes: int, stopwatch: Stopwatch) -> Form:
    """Reads a multipart body, with or without Content-Length. Whoever gets the form closes it.

    Raises:
        ServiceError: AUDIO_TOO_LARGE as soon as more than `max_bytes` have come, once the rest has been read and
            thrown away: a client that is still sending would not see the answer. INVALID_REQUEST where the body is
            no form, or breaks off.
    """
    content_type = request.headers.get("content-type", "")
    if not content_type.lower().startswith("multipart/form-data"):
        raise _invalid("the body must be multipart/form-data, as OpenAI's clients send it")
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        raise _unreadable("its content type names no boundary")
    form = Form()
    try:
        with stopwatch.stage("receive"):
            await _read(request.receive, (boundary[1] or boundary[2]).encode("latin-1"), form, max_bytes)
    except BaseException:
        form.close()
        raise
    return form


async def _read(receive: Receive, boundary: bytes, form: Form, max_bytes: int) -> None:
    reading, seen_bytes, has_more = _Reading(boundary, form), 0, True
    try:
        while has_more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _invalid("the request broke off")
            body, has_more = message.get("body", b""), message.get("more_body", False)
            seen_bytes += len(body)
            if seen_bytes > max_bytes:
                if has_more:
                    await drain(receive)
                text = f"Maximum content size limit ({max_bytes}) exceeded"
                raise ServiceError(ErrorCode.AUDIO_TOO_LARGE, text, param="file")
            if body:
                await reading.feed(body)
        reading.end()
    except MultipartError as error:
        raise _unreadable(str(error)) from error


class _Reading:
    """A form that is being read. A part named `file` is a file even without a file name: some clients send none."""

    def __init__(self, boundary: bytes, form: Form) -> None:
        self._form = form
        self._name = ""
        self._upload: Upload | None = None
        self._text = b""
        self._fields = self._files = 0
        # A part's header is read as it came: some clients write a file's name in another code than UTF-8.
        self._parser = PushMultipartParser(
            boundary,
            header_charset="latin-1",
            max_header_size=_MAX_PART_HEADER_BYTES,
            max_header_count=_MAX_PART_HEADERS,
        )

    async def feed(self, body: bytes) -> None:
        """Raises: MultipartError, ServiceError."""
        for event in self._parser.parse(body):
            if isinstance(event, MultipartSegment):
                self._begin(event)
            elif event is None:
                await self._end_part()
            elif self._upload:
                await self._upload.write(event)
            else:
                self._text += event
                if len(self._text) > _MAX_FIELD_BYTES:
                    raise _unreadable(f"a field is larger than {_MAX_FIELD_BYTES >> 10} kB")

    def end(self) -> None:
        """Raises: ServiceError, where fields may be missing."""
        try:
            self._parser.close()
        except MultipartError as error:
            raise _unreadable("it breaks off before its last boundary") from error

    def _begin(self, part: MultipartSegment) -> None:
        if not part.name:
            raise _unreadable("a part has no name")
        self._name, self._text, self._upload = part.name, b"", None
        if part.filename is None and part.name != "file":
            self._fields += 1
            if self._fields > _MAX_FIELDS:
                raise _unreadable(f"it has more than {_MAX_FIELDS} fields")
            return
        self._files += 1
        if self._files > _MAX_FILES:
            raise _unreadable(f"it has more than {_MAX_FILES} files")
        if replaced := self._form.files.get(part.name):
            replaced.close()
        self._form.files[part.name] = self._upload = Upload()

    async def _end_part(self) -> None:
        if self._upload:
            await self._upload.end()
        else:
            self._form.fields.setdefault(self._name, []).append(_decoded(self._text))


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _unreadable(why: str) -> ServiceError:
    return _invalid(f"the form cannot be read: {why}")


def _invalid(message: str) -> ServiceError:
    return ServiceError(ErrorCode.INVALID_REQUEST, message)
