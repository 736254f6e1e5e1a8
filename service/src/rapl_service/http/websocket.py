"""WebSockets: uvicorn's protocol with OpenAI's error envelope, and the paths that accept a WebSocket."""

import asyncio
import email.utils
import http
import logging
from collections.abc import Callable, Iterable
from typing import Any

from rapl_protocol.errors import ErrorCode, ServiceError
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.datastructures import Headers
from websockets.frames import Frame
from websockets.http11 import Request, Response

from rapl_service.http import connection
from rapl_service.http.errors import error_response, refuse

ON_SHUTDOWN = "rapl_on_shutdown"
"""Key in the scope of a WebSocket: a list. A route that closes its connection itself when the service stops adds a
function to it, which is called then. Other connections are closed at once, with 1012."""

MAX_FRAGMENTS = 2_000
"""Most frames of one message. In more, a message could take many times its length in memory. Clients that divide
messages at all use frames of some kilobytes."""

_log = logging.getLogger("uvicorn.error.websocket")
_log.addFilter(lambda record: "Invalid UTF-8" not in record.msg)  # uvicorn logs a client's mistake with a traceback
_CODES = {403: ErrorCode.FORBIDDEN, 405: ErrorCode.METHOD_NOT_ALLOWED, 500: ErrorCode.INTERNAL}


class GuardedWebSocket(WebSocketsSansIOProtocol):
    """One WebSocket connection. A refused handshake gets a response in the error envelope.

    uvicorn closes a connection if the client does not answer pings for 20 s. This class also closes it if the client
    does not read sent data for UNREAD_TIMEOUT_S. While a route takes no messages, the answers to pings are not read, so
    then they are not required.
    """

    _unread_timer: asyncio.TimerHandle | None = None
    _on_shutdown: list[Callable[[], None]]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # uvicorn and `websockets` log further lines for each connection, but one from RequestMiddleware is enough.
        self.logger = self.conn.logger = _log
        self.conn.reject = _reject
        self._on_shutdown = []

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.handshake_initiated and not self.close_sent:
            self.scope[ON_SHUTDOWN] = self._on_shutdown  # type: ignore[typeddict-unknown-key]

    def shutdown(self) -> None:
        if not self._on_shutdown or self.close_sent:
            super().shutdown()
        for on_shutdown in self._on_shutdown:
            on_shutdown()

    def keepalive_timeout(self) -> None:
        if self.read_paused:
            self.pong_timer = self.pending_ping_payload = None
            self.schedule_ping()
        else:
            super().keepalive_timeout()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc and not self.handshake_initiated:
            # uvicorn would leave such a connection open without an answer.
            answer = b"".join(self.conn.data_to_send())
            self.transport.write(answer or _reject(400, "invalid WebSocket handshake").serialize())
            self.transport.close()

    def handle_ping(self) -> None:
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()  # the answer is left out: for a client that does not read, it would stay in memory

    def handle_cont(self, event: Frame) -> None:
        if self.close_sent:
            return
        super().handle_cont(event)
        if len(self.frames) > MAX_FRAGMENTS:
            self.frames = []
            self.conn.send_close(1009, "too many frames in one message")
            self.handle_parser_exception()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread_timer = self.loop.call_later(connection.UNREAD_TIMEOUT_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_unread_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_unread_timer()
        super().connection_lost(exc)

    def _stop_unread_timer(self) -> None:
        if self._unread_timer:
            self._unread_timer.cancel()
            self._unread_timer = None

    async def send(self, message: Any) -> None:
        if self.transport.is_closing():
            raise ClientDisconnected  # uvicorn takes it for a mistake of the route if it closed the connection itself
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            self.handshake_complete = True  # else uvicorn logs an error after every refusal


def _reject(status: int, text: str) -> Response:
    """Replaces `ServerProtocol.reject`, which returns plain text."""
    status = http.HTTPStatus(status)
    answer = error_response(ServiceError(_CODES.get(status, ErrorCode.INVALID_REQUEST), text.strip()))
    headers = Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.raw_headers])
    headers["date"] = email.utils.formatdate(usegmt=True)
    headers["connection"] = "close"
    return Response(status.value, status.phrase, headers, bytes(answer.body))


class WebSocketPaths:
    """ASGI middleware: refuses WebSocket handshakes with 404, except at the listed paths."""

    def __init__(self, app: ASGIApp, paths: Iterable[str] = ()) -> None:
        self._app = app
        self._paths = frozenset(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and scope["path"] not in self._paths:
            error = ServiceError(ErrorCode.NOT_FOUND, f"There is no WebSocket at {scope['path']}.")
            await refuse(scope, receive, send, error)
        else:
            await self._app(scope, receive, send)
