"""An HTTP/1.1 connection pool for calls between RAPL's services. A response is read whole or piece by piece.

It uses asyncio's transports and uvicorn's parser. The other features of a general client (redirects, cookies, proxies,
content codings) took a fifth of the gateway's own time for a dictated sentence.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Self, cast
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpResponseParser

from rapl_service.calls.addresses import addresses_in_random_order
from rapl_service.calls.lost_machine import notice_lost_machine


class ConnectionLost(ConnectionError):
    """The connection ended before a complete response. Whether the request was processed is unknown."""


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: dict[str, str]
    """Values by name. Names are in lower case."""
    body: bytes


@dataclass(frozen=True, slots=True)
class _Origin:
    """A base URL, parsed."""

    host: str
    port: int
    is_tls: bool
    name: str
    """The value of the `Host` header."""
    prefix: str
    """Prefix of every path."""

    @classmethod
    def of(cls, base_url: str) -> Self:
        parts = urlsplit(base_url)
        is_tls = parts.scheme == "https"
        name = parts.netloc.rpartition("@")[2]
        return cls(parts.hostname or "", parts.port or (443 if is_tls else 80), is_tls, name, parts.path)


_origin_of = lru_cache(maxsize=64)(_Origin.of)


OnBody = Callable[[bytes], None]


class HttpPool:
    """A pool of idle connections, by origin. It requires a running event loop.

    Args:
        connect_s: timeout for a new connection, in seconds.
        keep_s: how long an idle connection is kept, in seconds. It must be shorter than the server's time, because
            a request that is written to a connection while the server closes it is lost.
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
        await asyncio.sleep(0)  # lets the sockets close

    async def request(
        self,
        method: str,
        url: str,
        path: str,
        headers: dict[str, str],
        body: Sequence[bytes | memoryview] = (),
        on_body: OnBody | None = None,
    ) -> Response:
        """Sends a request and returns the complete response. A cancelled call closes its connection.

        Args:
            method: such as "POST".
            url: base URL of the service.
            path: the path below the base URL, quoted, with the query.
            headers: without `content-length`. If `host` is missing, the URL's host is sent.
            body: the body in pieces, which are not joined.
            on_body: called with each piece of a 2xx response's body as it arrives; `Response.body` is then empty.

        Raises:
            ConnectionRefusedError: no connection could be made, so nothing was sent.
            ConnectionLost: the connection ended before the response was complete.
            ValueError: a header or the path contains a line break.
        """
        origin = _origin_of(url)
        head = _head(method, origin, path, headers, sum([len(piece) for piece in body]))
        connection = self._take(origin) or await self._connect(origin)
        try:
            response = await connection.request((head, *body), on_body)
        except BaseException:
            connection.transport.abort()
            raise
        if connection.is_reusable:
            self._keep(origin, connection)
        else:
            connection.transport.abort()  # a refused body may not have been sent completely
        return response

    def _take(self, origin: _Origin) -> "_Connection | None":
        """The connection that was used last, so that surplus ones expire; None if there is none."""
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if not connection.transport.is_closing():
                return connection
        return None

    async def _connect(self, origin: _Origin) -> "_Connection":
        try:
            async with asyncio.timeout(self._connect_s):
                return await _connect_to_any(origin)
        except OSError as error:  # a TimeoutError is an OSError too
            raise ConnectionRefusedError(str(error)) from error

    def _keep(self, origin: _Origin, connection: "_Connection") -> None:
        connection.idle_since = time.monotonic()
        self._idle.setdefault(origin, []).append(connection)
        self._sweep = self._sweep or asyncio.get_running_loop().call_later(self._keep_s, self._close_expired)

    def _close_expired(self) -> None:
        """Closes the connections that were idle for `keep_s`. Each list is in the order of last use."""
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


async def _connect_to_any(origin: _Origin) -> "_Connection":
    """Connects to one of the addresses of the name.

    Raises:
        OSError: the name cannot be resolved, or no address accepts a connection.
    """
    loop = asyncio.get_running_loop()
    addresses = await addresses_in_random_order(origin.host, origin.port)
    tls_name = origin.host if origin.is_tls else None
    for number, (host, port) in enumerate(addresses, start=1):
        try:
            transport, connection = await loop.create_connection(
                _Connection, host, port, ssl=origin.is_tls or None, server_hostname=tls_name
            )
        except OSError:
            if number == len(addresses):
                raise
        else:
            notice_lost_machine(transport.get_extra_info("socket"))
            return connection
    raise OSError(f"{origin.host} has no address")


class _Connection(asyncio.Protocol):
    """One connection, with at most one request at a time."""

    transport: asyncio.Transport
    idle_since = 0.0

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self._response: asyncio.Future[Response] | None = None
        self._headers: dict[str, str] = {}
        self._pieces: list[bytes] = []
        self._on_body: OnBody | None = None
        self.is_reusable = True

    async def request(self, pieces: Sequence[bytes | memoryview], on_body: OnBody | None) -> Response:
        if self.transport.is_closing():  # the server has closed it
            raise ConnectionLost("the connection was closed")
        self._response, self._on_body = asyncio.get_running_loop().create_future(), on_body
        try:
            self.transport.writelines(pieces)
            return await self._response
        finally:
            self._response = self._on_body = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's transports are not asyncio's types

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or "the connection was closed")
        del self._parser  # a reference cycle: the parser holds this connection

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self._fail(error)
            self.transport.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        if self._on_body and 200 <= self._parser.get_status_code() < 300:
            self._on_body(body)
        else:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        headers, body = self._headers, b"".join(self._pieces)
        self._headers, self._pieces = {}, []
        status = self._parser.get_status_code()
        if 100 <= status < 200:  # an interim response
            return
        self.is_reusable = self._parser.should_keep_alive()
        if self._response and not self._response.done():
            self._response.set_result(Response(status, headers, body))
        else:  # a response without a request
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
        raise ValueError("a header or the path contains a line break")
    return (text + "\r\n\r\n").encode("latin-1")
