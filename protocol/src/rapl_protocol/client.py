"""The calling end of the wire: typed in, typed out, and every failure a ServiceError that names the backend.

It speaks through aiohttp: on the same hop (a 5 s WAV, 16 at once, 2 cores) a gateway answered 2,400 requests a
second with it and 500 with httpx.
"""

import json
import mmap
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import IO, Any
from urllib.parse import urlencode

import aiohttp

from rapl_protocol.audio import WavAudio
from rapl_protocol.connection import KEEP_ALIVE_S
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.frames import CONTENT_TYPE, decode_frames, encode_frame
from rapl_protocol.models import ModelInfo
from rapl_protocol.prepared import (
    PreparedEvent,
    PrepareEnd,
    PrepareOptions,
    PrepareProgress,
    SegmentHeader,
    SourceInfo,
    SpeechCheck,
    SpeechSegment,
)
from rapl_protocol.transcript import TranscribeOptions, Transcript

CONNECT_TIMEOUT_S = 2.0
"""A service on this machine or its network accepts at once or is not there."""
_RETRY_AFTER_S = 5
_DEFAULT_OPTIONS = PrepareOptions()
_LARGE_BODY_BYTES = 1 << 20
"""aiohttp writes bytes in one go, and a larger body than this would hold up the event loop. It goes in pieces, each of
which is read from a mapped file only then, so that an upload of any size takes no memory."""
_PIECE_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Service:
    """Another service, and what a person does when it cannot be reached."""

    name: str
    url: str
    """Base URL without a trailing slash, as people know it."""
    remedy: str
    address: str | None = None
    """Base URL of the one of its processes that is called, where there may be several."""
    host: str | None = None
    """The `Host` to name there, where `address` has none."""
    token: str | None = field(default=None, repr=False)
    """What it wants to be shown, as `Authorization: Bearer`."""

    @property
    def base_url(self) -> str:
        return self.address or self.url

    def headers(self) -> dict[str, str]:
        headers = {"host": self.host} if self.host else {}
        return headers | {"authorization": f"Bearer {self.token}"} if self.token else headers


class Unreached(ServiceError):
    """The service did not take the request: nothing was done, so that it can be sent elsewhere any number of times."""


def open_http() -> aiohttp.ClientSession:
    """The pool of connections through which one service calls the others; needs a running event loop."""
    # Let go of an idle connection well before the other end does: a request written into a connection that is
    # being closed is lost, and a POST cannot simply be sent again.
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S / 2)
    return aiohttp.ClientSession(connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar())


class TranscriberClient:
    """An engine, as another service calls it."""

    def __init__(self, http: aiohttp.ClientSession, service: Service) -> None:
        self._http = http
        self.service = service

    async def transcribe(
        self, audio: WavAudio, options: TranscribeOptions, *, deadline_s: float, request_id: str | None = None
    ) -> Transcript:
        """Raises: ServiceError, with the engine's own code, or BACKEND_UNAVAILABLE or BACKEND_TIMEOUT."""
        body = encode_frame(options.model_dump(exclude_none=True), audio.wav_header(), audio.pcm)
        answer = await self._call("POST", "/v1/transcribe", deadline_s, body, request_id)
        return Transcript.model_validate_json(answer)

    async def stream(
        self, audio: WavAudio, options: TranscribeOptions, *, deadline_s: float, request_id: str | None = None
    ) -> AsyncGenerator[str | Transcript, None]:
        """Yields texts as they are decoded, if the engine has them before the end, and then the whole transcript.

        Raises:
            ServiceError: as `transcribe`, also after some texts. It never ends in silence without the transcript.
        """
        body = encode_frame({**options.model_dump(exclude_none=True), "stream": True}, audio.wav_header(), audio.pcm)
        limits = deadline(deadline_s)
        call = _Call(self._http, self.service, "POST", "/v1/transcribe", limits, body, request_id)
        async with call.opened() as response:
            with _broken_frames_named(self.service):
                async for frame in decode_frames(response.content.iter_any()):
                    match frame.header:
                        case {"type": "text", "text": text}:
                            yield text
                        case {"type": "transcript", **transcript}:
                            yield Transcript.model_validate(transcript)
                            return
                        case {"type": "error", **envelope}:
                            raise ServiceError.from_response(200, envelope)
        raise unavailable(self.service, "broke off its answer")

    async def models(self, *, deadline_s: float = 2.0) -> list[ModelInfo]:
        answer = json.loads(await self._call("GET", "/v1/models", deadline_s))
        return [ModelInfo.model_validate(info) for info in answer["models"]]

    async def load(self, model_id: str, *, deadline_s: float = 10.0) -> ModelInfo:
        return ModelInfo.model_validate_json(await self._call("POST", f"/v1/models/{model_id}/load", deadline_s))

    async def unload(self, model_id: str, *, deadline_s: float = 60.0) -> ModelInfo:
        return ModelInfo.model_validate_json(await self._call("POST", f"/v1/models/{model_id}/unload", deadline_s))

    async def _call(
        self, method: str, path: str, deadline_s: float, body: bytes | None = None, request_id: str | None = None
    ) -> bytes:
        return await _Call(self._http, self.service, method, path, deadline(deadline_s), body, request_id).answer()


class PreprocessClient:
    """preprocess-service, as another service calls it."""

    def __init__(self, http: aiohttp.ClientSession, service: Service) -> None:
        self._http = http
        self.service = service

    async def prepare(
        self,
        media: bytes | memoryview | IO[bytes],
        *,
        options: PrepareOptions = _DEFAULT_OPTIONS,
        idle_s: float,
        request_id: str | None = None,
    ) -> AsyncGenerator[PreparedEvent, None]:
        """Yields SourceInfo, then the speech segments in order as they are decoded, then PrepareEnd.

        Args:
            media: any file that FFmpeg's libraries read, from its start.
            options: what counts as speech. Media without any yield no segment.
            idle_s: how long to wait for the next event; the time between two that the caller takes does not count.
            request_id: named in the other service's log.

        Raises:
            ServiceError: AUDIO_UNDECODABLE where the media are at fault, BACKEND_UNAVAILABLE or BACKEND_TIMEOUT
                where the service is; also in the middle of the events. It never ends in silence without PrepareEnd.
        """
        ended = False
        timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT_S, sock_read=idle_s)
        path = _asked("/v1/prepare", options)
        async with _Call(self._http, self.service, "POST", path, timeout, media, request_id).opened() as response:
            with _broken_frames_named(self.service):
                async for frame in decode_frames(response.content.iter_any()):
                    event = _event(frame.header, frame.payload)
                    ended = isinstance(event, PrepareEnd)
                    if not isinstance(event, PrepareProgress):
                        yield event
        if not ended:
            raise unavailable(self.service, "broke off its answer")

    async def speech(
        self,
        audio: WavAudio,
        options: PrepareOptions = _DEFAULT_OPTIONS,
        *,
        deadline_s: float,
        request_id: str | None = None,
    ) -> SpeechCheck:
        """Whether a clip of up to MAX_SEGMENT_S would become a segment; nothing of it comes back.

        Raises:
            ServiceError: AUDIO_TOO_LARGE where it is longer, BACKEND_UNAVAILABLE or BACKEND_TIMEOUT.
        """
        path, limits = _asked("/v1/speech", options), deadline(deadline_s)
        answer = await _Call(self._http, self.service, "POST", path, limits, audio.to_wav(), request_id).answer()
        return SpeechCheck.model_validate_json(answer)

    async def is_live(self) -> bool:
        try:
            await _Call(self._http, self.service, "GET", "/health/live", deadline(2.0)).answer()
            return True
        except ServiceError:
            return False


def _asked(path: str, options: PrepareOptions) -> str:
    query = urlencode(options.model_dump(exclude_defaults=True))
    return f"{path}?{query}" if query else path


def _event(header: dict[str, Any], payload: bytes | memoryview) -> PreparedEvent | PrepareProgress:
    match header.get("type"):
        case "source":
            return SourceInfo.model_validate(header)
        case "segment":
            where = SegmentHeader.model_validate(header)
            return SpeechSegment(where.start_s, where.end_s, WavAudio(payload), where.speech_s)
        case "progress":
            return PrepareProgress.model_validate(header)
        case "end":
            return PrepareEnd.model_validate(header)
        case "error":
            raise ServiceError.from_response(200, header)
        case unknown:
            raise ValueError(f"unknown event {unknown!r}")


@dataclass(frozen=True, slots=True)
class _Call:
    """One request to a service."""

    http: aiohttp.ClientSession
    service: Service
    method: str
    path: str
    limits: aiohttp.ClientTimeout
    body: Any = None
    request_id: str | None = None

    async def answer(self) -> bytes:
        """What it answers, whole."""
        with failures_named(self.service, self.limits.total):
            async with self._sent() as response:
                await _require_good(response, self.service)
                return await response.read()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[aiohttp.ClientResponse]:
        """Its answer, as it comes."""
        with failures_named(self.service, self.limits.total or self.limits.sock_read):
            async with self._sent() as response:
                await _require_good(response, self.service)
                yield response

    def _sent(self) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        headers, body = {"content-type": CONTENT_TYPE, **self.service.headers()}, self.body
        if isinstance(body, bytes | memoryview) and len(body) > _LARGE_BODY_BYTES:
            headers["content-length"] = str(len(body))
            body = _pieces(memoryview(body))
        if self.request_id:
            headers["x-request-id"] = self.request_id
        url = self.service.base_url + self.path
        return self.http.request(self.method, url, data=body, headers=headers, timeout=self.limits)


async def _require_good(response: aiohttp.ClientResponse, service: Service) -> None:
    if response.status == 401:  # it is the caller's token that is wrong, and not its client's key
        raise unavailable(service, "wants another token than it was shown: set the same one on both sides")
    if response.status >= 400:
        body = _json_or_none(await response.read())
        raise ServiceError.from_response(response.status, body, response.headers.get("retry-after"))


async def _pieces(body: memoryview) -> AsyncIterator[memoryview]:
    """Of a mapped file, what has been sent does not stay in memory."""
    for at in range(0, len(body), _PIECE_BYTES):
        piece = body[at : at + _PIECE_BYTES]
        yield piece
        if isinstance(body.obj, mmap.mmap):
            body.obj.madvise(mmap.MADV_DONTNEED, at, len(piece))


def deadline(total_s: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=total_s, sock_connect=CONNECT_TIMEOUT_S)


def _json_or_none(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


class failures_named:
    """Raises: ServiceError for whatever goes wrong on the way: Unreached, BACKEND_UNAVAILABLE or BACKEND_TIMEOUT."""

    def __init__(self, service: Service, deadline_s: float | None) -> None:
        self._service = service
        self._deadline_s = deadline_s

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        service = self._service
        match error:
            case aiohttp.ConnectionTimeoutError() | aiohttp.ClientConnectorError():
                raise _unreached(service) from error
            case TimeoutError():  # aiohttp's own are TimeoutErrors too
                message = f"{service.name} at {service.url} did not answer within {round(self._deadline_s or 0, 1):g} s"
                raise ServiceError(ErrorCode.BACKEND_TIMEOUT, message) from error
            case aiohttp.ClientError():
                raise unavailable(service, "broke off its answer") from error


@contextmanager
def _broken_frames_named(service: Service) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise unavailable(service, f"broke off its answer ({error})") from error


def _unreached(service: Service) -> Unreached:
    message = f"{service.name} at {service.url} cannot be reached. {service.remedy}"
    return Unreached(ErrorCode.BACKEND_UNAVAILABLE, message, retry_after_s=_RETRY_AFTER_S)


def unavailable(service: Service, what: str) -> ServiceError:
    message = f"{service.name} at {service.url} {what}. {service.remedy}"
    return ServiceError(ErrorCode.BACKEND_UNAVAILABLE, message, retry_after_s=_RETRY_AFTER_S)
