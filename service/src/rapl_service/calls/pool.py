"""One request and its whole answer over a kept connection: the way between RAPL's own services.

asyncio's transports and uvicorn's parser, with nothing in between. What a general client does besides (redirects,
cookies, proxies, content codings) was a fifth of the gateway's own time for a dictated sentence.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Self, cast
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpResponseParser


class ConnectionLost(ConnectionError):
    """The connection ended before the answer did, or what came was none: what became of the request is unknown."""


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: dict[str, str]
    """By name, in lower case."""
    body: bytes


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a base URL leads."""

    host: str
    port: int
    is_tls: bool
    name: str
    """What the `Host` header says."""
    prefix: str
    """In front of every path."""

    @classmethod
    def of(cls, base_url: str) -> Self:
        parts = urlsplit(base_url)
        is_tls = parts.scheme == "https"
        name = parts.netloc.rpartition("@")[2]
        return cls(parts.hostname or "", parts.port or (443 if is_tls else 80), is_tls, name, parts.path)


_origin_of = lru_cache(maxsize=64)(_Origin.of)


class HttpPool:
    """The kept connections, to every origin; needs a running event loop.

    Args:
        connect_s: how long a connection may take to be made.
        keep_s: how long one is kept that nobody uses: less than the other end keeps it, since a request that is
            written into a connection that is being closed there is lost.
    """

    def __init__(self, connect_s: float, keep_s: float) -> None:
        self._connect_s = connect_s
        self._keep_s = keep_s
        self._idle: dict[_Origin, list[_Connection]] = {}
        self._sweep: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._sweep:
            self._sweep.cancel()
        for connections in self._idle.values():
            for connection in connections:
                connection.transport.close()
        self._idle.clear()
        await asyncio.sleep(0)  # in which their sockets close

    async def request(
        self, method: str, url: str, path: str, headers: dict[str, str], body: Sequence[bytes | memoryview] = ()
    ) -> Response:
        """Sends a request, and gives its answer when that is whole. Whoever is cancelled meanwhile leaves.

        Args:
            method: of HTTP.
            url: base URL of the service.
            path: below that, with a query, quoted.
            headers: beside the length and, where none is named, the host.
            body: in pieces, which are not put together on the way.

        Raises:
            ConnectionRefusedError: no connection could be made, so nothing was sent.
            ConnectionLost: the connection ended before the answer was whole.
            ValueError: a header or the path holds a line break.
        """
        origin = _origin_of(url)
        head = _head(method, origin, path, headers, sum([len(piece) for piece in body]))
        connection = self._take(origin) or await self._connect(origin)
        try:
            response = await connection.request((head, *body))
        except BaseException:
            connection.transport.abort()
            raise
        if connection.is_reusable:
            self._keep(origin, connection)
        else:
            connection.transport.abort()  # what was not sent of a body that is refused is let go of
        return response

    def _take(self, origin: _Origin) -> "_Connection | None":
        """The one that was used last, so that those that are too many grow old."""
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if not connection.transport.is_closing():
                return connection
        return None

    async def _connect(self, origin: _Origin) -> "_Connection":
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_s):
                _, connection = await loop.create_connection(
                    _Connection, origin.host, origin.port, ssl=True if origin.is_tls else None
                )
        except OSError as error:  # a TimeoutError is one too
            raise ConnectionRefusedError(str(error)) from error
        return connection

    def _keep(self, origin: _Origin, connection: "_Connection") -> None:
        connection.idle_since = time.monotonic()
        self._idle.setdefault(origin, []).append(connection)
        self._sweep = self._sweep or asyncio.get_running_loop().call_later(self._keep_s, self._close_expired)

    def _close_expired(self) -> None:
        """Of those that lie in the order in which they were used last."""
        idle, self._idle, self._sweep = self._idle, {}, None
        oldest = time.monotonic() - self._keep_s
        for origin, connections in idle.items():
            for connection in connections:
                if connection.idle_since > oldest:
                    self._idle.setdefault(origin, []).append(connection)
                else:
                    connection.transport.close()
        if self._idle:
            first = min(connections[0].idle_since for connections in self._idle.values())
            self._sweep = asyncio.get_running_loop().call_later(first - oldest, self._close_expired)


class _Connection(asyncio.Protocol):
    """One connection, with at most one request on its way."""

    transport: asyncio.Transport
    idle_since = 0.0

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self._response: asyncio.Future[Response] | None = None
        self._headers: dict[str, str] = {}
        self._pieces: list[bytes] = []
        self.is_reusable = True

    async def request(self, pieces: Sequence[bytes | memoryview]) -> Response:
        if self.transport.is_closing():  # closed by the other end since it was made
            raise ConnectionLost("the connection was closed")
        self._response = asyncio.get_running_loop().create_future()
        try:
            self.transport.writelines(pieces)
            return await self._response
        finally:
            self._response = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are none of asyncio's types

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or "the connection was closed")
        del self._parser  # which holds this connection in turn

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self._fail(error)
            self.transport.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        headers, body = self._headers, b"".join(self._pieces)
        self._headers, self._pieces = {}, []
        status = self._parser.get_status_code()
        if 100 <= status < 200:  # not the answer yet
            return
        self.is_reusable = self._parser.should_keep_alive()
        if self._response and not self._response.done():
            self._response.set_result(Response(status, headers, body))
        else:  # nobody has asked
            self.transport.abort()

    def _fail(self, why: object) -> None:
        self.is_reusable = False
        if self._response and not self._response.done():
            self._response.set_exception(ConnectionLost(str(why)))


def _head(method: str, origin: _Origin, path: str, headers: dict[str, str], length: int) -> bytes:
    lines = [f"{method} {origin.prefix}{path} HTTP/1.1"]
    if "host" not in headers:
        lines.append(f"host: {origin.name}")
    if length or method != "GET":
        lines.append(f"content-length: {length}")
    lines += [f"{name}: {value}" for name, value in headers.items()]
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1:
        raise ValueError("a header or a path with a line break")
    return (text + "\r\n\r\n").encode("latin-1")
