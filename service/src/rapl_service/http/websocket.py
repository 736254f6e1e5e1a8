"""WebSockets: uvicorn's protocol with our error envelope, and the list of paths that accept one."""

import email.utils
import http
import logging
from collections.abc import Iterable
from typing import Any

from rapl_protocol.errors import ErrorCode, ServiceError
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.datastructures import Headers
from websockets.http11 import Response

from rapl_service.http.errors import error_response, refuse

_log = logging.getLogger("uvicorn.error.websocket")
_CODES = {403: ErrorCode.FORBIDDEN, 405: ErrorCode.METHOD_NOT_ALLOWED, 500: ErrorCode.INTERNAL}


class GuardedWebSocket(WebSocketsSansIOProtocol):
    """One WebSocket connection. A handshake that uvicorn or `websockets` refuses is answered in the error envelope.

    A client that stops reading also stops answering pings, so uvicorn ends its connection after 40 s.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Both write lines of their own about each connection; RequestMiddleware has written one already.
        self.logger = self.conn.logger = _log
        self.conn.reject = _reject

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc and not self.handshake_initiated:
            # uvicorn would leave such a connection open without an answer.
            answer = b"".join(self.conn.data_to_send())
            self.transport.write(answer or _reject(400, "invalid WebSocket handshake").serialize())
            self.transport.close()

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            self.handshake_complete = True  # else uvicorn logs an error after every refusal


def _reject(status: int, text: str) -> Response:
    """Replaces `ServerProtocol.reject`, which answers in plain text."""
    status = http.HTTPStatus(status)
    answer = error_response(ServiceError(_CODES.get(status, ErrorCode.INVALID_REQUEST), text.strip()))
    headers = Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.raw_headers])
    headers["date"] = email.utils.formatdate(usegmt=True)
    headers["connection"] = "close"
    return Response(status.value, status.phrase, headers, bytes(answer.body))


class WebSocketPaths:
    """ASGI middleware: a WebSocket handshake is refused with 404, except at the listed paths."""

    def __init__(self, app: ASGIApp, paths: Iterable[str] = ()) -> None:
        self._app = app
        self._paths = frozenset(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and scope["path"] not in self._paths:
            error = ServiceError(ErrorCode.NOT_FOUND, f"There is no WebSocket at {scope['path']}.")
            await refuse(scope, receive, send, error)
        else:
            await self._app(scope, receive, send)
