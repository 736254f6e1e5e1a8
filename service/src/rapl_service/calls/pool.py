"""One request and its whole answer over a connection that is kept: the way between RAPL's own services.

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


class Unreachable(ConnectionError):
    """Nobody takes connections there: nothing of the request was sent."""


class ConnectionLost(ConnectionError):
    """The connection ended before the answer did, or what came was none: what became of the request is unknown."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    """By name, in lower case."""
    body: bytes


@dataclass(frozen=True, slots=True)
class _Place:
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


_place_of = lru_cache(maxsize=64)(_Place.of)


class HttpPool:
    """The connections that are kept, to every place; needs a running event loop.

    Args:
        connect_s: how long a connection may take to be made.
        keep_s: how long one is kept that nobody uses: less than the other end keeps it, since a request that is
            written into a connection that is being closed there is lost.
    """

    def __init__(self, connect_s: float, keep_s: float) -> None:
        self._connect_s = connect_s
        self._keep_s = keep_s
        self._kept: dict[_Place, list[_Connection]] = {}
        self._sweep: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._sweep:
            self._sweep.cancel()
        for connections in self._kept.values():
            for connection in connections:
                connection.transport.close()
        self._kept.clear()
        await asyncio.sleep(0)  # in which their sockets close

    async def ask(
        self, method: str, url: str, path: str, headers: dict[str, str], body: Sequence[bytes | memoryview] = ()
    ) -> Answer:
        """Sends a request, and gives its answer when that is whole. Whoever is cancelled meanwhile leaves.

        Args:
            method: of HTTP.
            url: base URL of the service.
            path: below that, with a query, quoted.
            headers: beside the length and, where none is named, the host.
            body: in pieces, which are not put together on the way.

        Raises:
            Unreachable: no connection could be made.
            ConnectionLost: the connection ended before the answer was whole.
            ValueError: a header or the path holds a line break.
        """
        place = _place_of(url)
        head = _head(method, place, path, headers, sum([len(piece) for piece in body]))
        connection = self._take(place) or await self._connected(place)
        try:
            answer = await connection.ask((head, *body))
        except BaseException:
            connection.transport.abort()
            raise
        if connection.is_reusable:
            self._keep(place, connection)
        else:
            connection.transport.abort()  # what was not sent of a body that is refused is let go of
        return answer

    def _take(self, place: _Place) -> "_Connection | None":
        """The one that was used last, so that those that are too many grow old."""
        kept = self._kept.get(place)
        while kept:
            connection = kept.pop()
            if not connection.transport.is_closing():
                return connection
        return None

    async def _connected(self, place: _Place) -> "_Connection":
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_s):
                _, connection = await loop.create_connection(
                    _Connection, place.host, place.port, ssl=True if place.is_tls else None
                )
        except OSError as error:  # a TimeoutError is one too
            raise Unreachable(str(error)) from error
        return connection

    def _keep(self, place: _Place, connection: "_Connection") -> None:
        connection.kept_since = time.monotonic()
        self._kept.setdefault(place, []).append(connection)
        self._sweep = self._sweep or asyncio.get_running_loop().call_later(self._keep_s, self._let_go_of_the_old)

    def _let_go_of_the_old(self) -> None:
        """Of those that lie in the order in which they were used last."""
        kept, self._kept, self._sweep = self._kept, {}, None
        oldest = time.monotonic() - self._keep_s
        for place, connections in kept.items():
            for connection in connections:
                if connection.kept_since > oldest:
                    self._kept.setdefault(place, []).append(connection)
                else:
                    connection.transport.close()
        if self._kept:
            first = min(connections[0].kept_since for connections in self._kept.values())
            self._sweep = asyncio.get_running_loop().call_later(first - oldest, self._let_go_of_the_old)


class _Connection(asyncio.Protocol):
    """One connection, with at most one request on its way."""

    transport: asyncio.Transport
    kept_since = 0.0

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self._answer: asyncio.Future[Answer] | None = None
        self._headers: dict[str, str] = {}
        self._pieces: list[bytes] = []
        self.is_reusable = True

    async def ask(self, pieces: Sequence[bytes | memoryview]) -> Answer:
        if self.transport.is_closing():  # closed by the other end since it was made
            raise ConnectionLost("the connection was closed")
        self._answer = asyncio.get_running_loop().create_future()
        try:
            self.transport.writelines(pieces)
            return await self._answer
        finally:
            self._answer = None

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
        if self._answer and not self._answer.done():
            self._answer.set_result(Answer(status, headers, body))
        else:  # nobody has asked
            self.transport.abort()

    def _fail(self, why: object) -> None:
        self.is_reusable = False
        if self._answer and not self._answer.done():
            self._answer.set_exception(ConnectionLost(str(why)))


def _head(method: str, place: _Place, path: str, headers: dict[str, str], length: int) -> bytes:
    lines = [f"{method} {place.prefix}{path} HTTP/1.1"]
    if "host" not in headers:
        lines.append(f"host: {place.name}")
    if length or method != "GET":
        lines.append(f"content-length: {length}")
    lines += [f"{name}: {value}" for name, value in headers.items()]
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1:
        raise ValueError("a header or a path with a line break")
    return (text + "\r\n\r\n").encode("latin-1")
