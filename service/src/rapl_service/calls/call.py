"""One service calls another: how, and what every failure on the way is called.

An answer that comes whole goes by a `hop`; what streams, in either direction, goes through aiohttp.
"""

import asyncio
import mmap
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import IO, Any, TypeVar

import aiohttp
from pydantic import BaseModel
from pydantic_core import from_json
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.frames import CONTENT_TYPE
from rapl_protocol.wire import KEEP_ALIVE_S

from rapl_service.calls.pool import ConnectionLost, HttpPool

M = TypeVar("M", bound=BaseModel)
Body = bytes | memoryview | IO[bytes]

CONNECT_TIMEOUT_S = 2.0
"""A service on this machine or its network accepts at once or is not there."""
_RETRY_AFTER_S = 5
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


class ConnectError(ServiceError):
    """The service did not take the request: nothing was done, so that it can be sent elsewhere any number of times."""


@dataclass(frozen=True, slots=True)
class Http:
    """The kept connections through which one service calls the others."""

    pool: HttpPool
    streams: aiohttp.ClientSession


@asynccontextmanager
async def open_http() -> AsyncGenerator[Http]:
    """Needs a running event loop."""
    # Let go of an idle connection well before the other end does: a request written into a connection that is
    # being closed is lost, and a POST cannot simply be sent again.
    keep_s = KEEP_ALIVE_S / 2
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=keep_s)
    jar = aiohttp.DummyCookieJar()
    async with (
        HttpPool(CONNECT_TIMEOUT_S, keep_s) as pool,
        aiohttp.ClientSession(connector=connector, auto_decompress=False, cookie_jar=jar) as streams,
    ):
        yield Http(pool, streams)


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a service."""

    http: Http
    service: Service
    method: str
    path: str
    """Quoted, with its query."""
    request_id: str | None = None

    async def fetch(self, deadline_s: float, *body: bytes | memoryview) -> bytes:
        """What it answers, whole.

        Args:
            deadline_s: until then.
            body: in pieces.

        Raises:
            ServiceError: the service's own, or ConnectError, BACKEND_UNAVAILABLE or BACKEND_TIMEOUT.
        """
        with service_errors(self.service, deadline_s):
            async with asyncio.timeout(deadline_s):
                url = self.service.base_url
                answer = await self.http.pool.request(self.method, url, self.path, self._headers(), body)
        if not 200 <= answer.status < 300:
            raise _refusal(self.service, answer.status, answer.body, answer.headers.get("retry-after"))
        return answer.body

    async def fetch_as(self, kind: type[M], deadline_s: float, *body: bytes | memoryview) -> M:
        """The same, as what it must be.

        Raises:
            ServiceError: as `fetch`, and BACKEND_UNAVAILABLE where it is something else.
        """
        answer = await self.fetch(deadline_s, *body)
        try:
            return kind.model_validate_json(answer)
        except ValueError:  # not its cause: that has what was answered in its message
            raise unavailable(self.service, f"answered something that is no {kind.__name__}") from None

    @asynccontextmanager
    async def stream(
        self, limits: aiohttp.ClientTimeout, body: Body | None = None
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """Its answer, as it comes.

        Raises:
            ServiceError: as `fetch`, also in the middle of it.
        """
        headers, data = self._headers(), body
        if isinstance(body, bytes | memoryview) and len(body) > _LARGE_BODY_BYTES:
            headers["content-length"] = str(len(body))
            data = _in_pieces(memoryview(body))
        url = self.service.base_url + self.path
        with service_errors(self.service, limits.total or limits.sock_read):
            async with self.http.streams.request(
                self.method, url, data=data, headers=headers, timeout=limits
            ) as response:
                if not 200 <= response.status < 300:
                    retry_after = response.headers.get("retry-after")
                    raise _refusal(self.service, response.status, await response.read(), retry_after)
                yield response

    def _headers(self) -> dict[str, str]:
        headers = {"content-type": CONTENT_TYPE, **self.service.headers()}
        if self.request_id:
            headers["x-request-id"] = self.request_id
        return headers


def _refusal(service: Service, status: int, body: bytes, retry_after: str | None) -> ServiceError:
    if status == 401:  # it is the caller's token that is wrong, and not its client's key
        return unavailable(service, "wants another token than it was shown: set the same one on both sides")
    if status < 400:
        return unavailable(service, f"answered with {status}, as no service of RAPL's does")
    return ServiceError.from_response(status, _json_or_none(body), retry_after)


async def _in_pieces(body: memoryview) -> AsyncIterator[memoryview]:
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
        return from_json(body)
    except ValueError:
        return None


class service_errors:
    """Raises: ServiceError for whatever goes wrong on the way: ConnectError, BACKEND_UNAVAILABLE or BACKEND_TIMEOUT."""

    def __init__(self, service: Service, deadline_s: float | None) -> None:
        self._service = service
        self._deadline_s = deadline_s

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        service = self._service
        match error:
            case ConnectionRefusedError() | aiohttp.ConnectionTimeoutError() | aiohttp.ClientConnectorError():
                raise _connect_error(service) from error
            case TimeoutError():  # aiohttp's own are TimeoutErrors too
                message = f"{service.name} at {service.url} did not answer within {round(self._deadline_s or 0, 1):g} s"
                raise ServiceError(ErrorCode.BACKEND_TIMEOUT, message) from error
            case ConnectionLost() | aiohttp.ClientError():
                raise unavailable(service, "broke off its answer") from error
            case _:
                pass


def _connect_error(service: Service) -> ConnectError:
    message = f"{service.name} at {service.url} cannot be reached. {service.remedy}"
    return ConnectError(ErrorCode.BACKEND_UNAVAILABLE, message, retry_after_s=_RETRY_AFTER_S)


def unavailable(service: Service, what: str) -> ServiceError:
    message = f"{service.name} at {service.url} {what}. {service.remedy}"
    return ServiceError(ErrorCode.BACKEND_UNAVAILABLE, message, retry_after_s=_RETRY_AFTER_S)
