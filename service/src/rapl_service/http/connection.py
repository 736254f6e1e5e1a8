"""uvicorn's HTTP/1.1 protocol with timeouts and limits.

uvicorn has no timeout for a request's headers or for a client that does not read its response, and no limit for the
number of headers. One web page or one idle script could hold every connection.
"""

import asyncio

import httptools
from rapl_protocol.errors import ErrorCode, ServiceError
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from rapl_service.http.disconnect import CLIENT_CONNECTION, ClientConnection
from rapl_service.http.errors import error_response
from rapl_service.http.gathered import GatheredWrites

HEADERS_S = 15.0
"""Timeout for the headers, from the start of the connection or the first byte of the request."""
UNREAD_TIMEOUT_S = 60.0
"""How long a client may leave a response unread."""
IDLE_CLOSE_S, NEW_IDLE_CLOSE_S = 0.1, 1.0
"""How long an idle connection, and a new one, stay open after the service begins to stop, because a request may already
be on its way."""
MAX_HEADER_BYTES = 64 << 10
MAX_HEADERS = 128


class GuardedHttp(HttpToolsProtocol):
    """One HTTP/1.1 connection."""

    _headers_timer: asyncio.TimerHandle | None = None
    _unread_timer: asyncio.TimerHandle | None = None
    _is_in_headers = False
    _is_stopping = False
    _header_bytes = 0
    _header_error: str | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._gathered = GatheredWrites(transport)
        self._client_connection = ClientConnection()
        super().connection_made(self._gathered)  # type: ignore[arg-type]
        self._expect_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._headers_timer, self._unread_timer):
            if timer:
                timer.cancel()
        super().connection_lost(exc)
        self._client_connection.disconnect()

    def data_received(self, data: bytes) -> None:
        self._feed(data)
        if not self._is_in_headers or self.transport.is_closing():
            return
        self._header_bytes += len(data)
        if self._header_bytes > MAX_HEADER_BYTES:
            self.send_400_response(_TOO_LARGE)
        elif self._headers_timer is None:
            self._expect_headers()

    def _feed(self, data: bytes) -> None:
        """Gives the data to the parser, as uvicorn does, and ignores offers of other protocols.

        Java's HttpClient and `curl --http2` offer HTTP/2 (`Upgrade: h2c`) with their first request. A server may ignore
        the offer (RFC 9110, 7.8), but the parser then skips the request's body. So the parser gets the request again,
        without the offer.
        """
        assert self.parser
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            after_head: int = upgrade.args[0]
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            elif self._is_ignored_offer():
                self._feed(self._head_without_offer() + data[after_head:])
        except httptools.HttpParserError:
            message = "Invalid HTTP request received."
            self.logger.warning(message)
            self.send_400_response(message)

    def _is_ignored_offer(self) -> bool:
        """Whether the parser stops after this request's headers for a protocol that the service does not speak. It also
        stops after CONNECT."""
        assert self.parser
        if not self.parser.should_upgrade():
            return False
        return self.parser.get_method() != b"CONNECT" and not self._should_upgrade()

    def _head_without_offer(self) -> bytes:
        assert self.parser
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def on_message_begin(self) -> None:
        self._is_in_headers = True
        self._header_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._is_in_headers = False
        if self._headers_timer:
            self._headers_timer.cancel()
            self._headers_timer = None
        assert self.parser
        self._header_error = _header_error(self.headers, self.url, self.parser.get_http_version())
        if self._header_error:
            raise ValueError(self._header_error)  # the parser reports it as an invalid request
        if self._is_ignored_offer():
            return
        self.scope[CLIENT_CONNECTION] = self._client_connection  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()
        if self._is_stopping and self.cycle:  # a WebSocket handshake has no cycle
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        if self._is_ignored_offer():
            return
        super().on_message_complete()
        # uvicorn stops reading after 64 kB of a body until the application takes more. After the last part nothing more
        # is taken, and a connection that is not read does not show that its client has left.
        if not self.pipeline:
            self.flow.resume_reading()

    def handle_websocket_upgrade(self) -> None:
        # With gathered writes, back-pressure would begin in the next turn of the event loop, which never comes while a
        # route sends without a pause.
        self._gathered.flush()
        self.transport = self._gathered.transport
        super().handle_websocket_upgrade()

    def on_response_complete(self) -> None:
        self._gathered.flush()
        super().on_response_complete()

    def shutdown(self) -> None:
        self._is_stopping = True
        if self._is_idle():
            self.loop.call_later(IDLE_CLOSE_S if self.cycle else NEW_IDLE_CLOSE_S, self._close_if_idle)
        else:
            super().shutdown()

    def _is_idle(self) -> bool:
        return not self.cycle or self.cycle.response_complete

    def _close_if_idle(self) -> None:
        if self._is_idle() and not self._is_in_headers:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Sends the error envelope instead of uvicorn's plain text."""
        message = self._header_error or msg
        answer = error_response(ServiceError(ErrorCode.INVALID_REQUEST, message))
        headers = b"".join(b"%s: %s\r\n" % each for each in answer.raw_headers)
        head = b"HTTP/1.1 400 Bad Request\r\n" + headers + b"connection: close\r\n\r\n"
        self.transport.write(head + bytes(answer.body))
        self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread_timer = self.loop.call_later(UNREAD_TIMEOUT_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread_timer:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _expect_headers(self) -> None:
        self._headers_timer = self.loop.call_later(HEADERS_S, self._give_up)

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.send_400_response(f"the request's headers did not arrive within {HEADERS_S:g} s")


_TOO_LARGE = f"the request's headers are larger than {MAX_HEADER_BYTES} bytes"


def _header_error(headers: list[tuple[bytes, bytes]], url: bytes, version: str) -> str | None:
    """What is wrong with a request's headers that the parser accepts; None if they are valid.

    Source: RFC 9112, 3.2 (one Host) and 6.1 (both lengths, as in request smuggling).
    """
    if len(headers) > MAX_HEADERS:
        return f"the request has more than {MAX_HEADERS} headers"
    if len(url) + sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES:
        return _TOO_LARGE
    names = [name for name, _ in headers]
    if names.count(b"host") > 1 or (version == "1.1" and b"host" not in names):
        return "a request must have exactly one Host header"
    if b"content-length" in names and b"transfer-encoding" in names:
        return "a request may not have both Content-Length and Transfer-Encoding"
    return None
