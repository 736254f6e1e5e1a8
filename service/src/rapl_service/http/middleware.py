"""The outermost middleware of every service: request ids, one log line for each request, error responses."""

import logging
import re
import secrets
import time
from typing import Any

from rapl_protocol.errors import ErrorCode, ServiceError
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from rapl_service.http.errors import send_error
from rapl_service.http.scope import RESPONSE_START, ROUTE
from rapl_service.log import log, quoted

REQUEST_ID_HEADER = "x-request-id"
_START = RESPONSE_START | {"websocket.accept"}
_HEADER_NAME = REQUEST_ID_HEADER.encode()
_SAFE_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_SWITCHING_PROTOCOLS, _FORBIDDEN = 101, 403
_INTERNAL_ERROR_CLOSE_CODE = 1011
_READINESS = "/health/ready"
"""Its answer is 503 while a model is loaded, which is no failure of the request."""
_DECIMALS = {"audio_s": 2, "speech_s": 2}
"""Decimals of audio durations in the log line. Processing times have four decimals: a tenth of a millisecond."""


class RequestMiddleware:
    """Gives each request an id, sends it in a response header, logs one line, and converts unexpected errors to 500."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        scope["rapl_request_id"] = rid = _given_request_id(scope) or f"req_{secrets.token_hex(16)}"
        fields: dict[str, Any] = {}
        scope["rapl_log"] = fields
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] in _START:
                status = message.get("status", _SWITCHING_PROTOCOLS)
                message["headers"] = [*message.get("headers", ()), (_HEADER_NAME, rid.encode())]
            elif message["type"] == "websocket.close" and not status:
                status = _FORBIDDEN
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except WebSocketDisconnect:
            pass  # the client has disconnected; routes need not handle this
        except Exception as error:
            if not isinstance(error, ServiceError):
                log.exception("request_id=%s failed", rid)
                error = ServiceError(ErrorCode.INTERNAL, "internal error; the server's log has the cause")
            if not status:
                await send_error(scope, receive, send_with_id, error)
            elif scope["type"] == "websocket":
                fields["error"] = error.code.value
                await send({"type": "websocket.close", "code": _INTERNAL_ERROR_CLOSE_CODE})
            else:
                raise  # the response has begun: only a closed connection shows the client that it is incomplete
        finally:
            _log_request(scope, rid, status, time.perf_counter() - began, fields)


class HeadAsGet:
    """ASGI middleware: answers HEAD wherever there is a GET. The server leaves out the body (RFC 9110, 9.3.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "method": "GET"} if scope.get("method") == "HEAD" else scope, receive, send)


class RouteRecorder:
    """The innermost middleware: records the route of a request for its log line."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        finally:
            if (path := getattr(scope.get("route"), "path", None)) is not None:
                scope["rapl_log"][ROUTE] = path


def _given_request_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == _HEADER_NAME:
            text = value.decode("latin-1")
            return text if _SAFE_REQUEST_ID.fullmatch(text) else None
    return None


def _log_request(scope: Scope, rid: str, status: int, took_s: float, fields: dict[str, Any]) -> None:
    # A path that no route has is a text of the client. It could be anything, so it is not logged.
    path = fields.pop(ROUTE, "unknown")
    # Health checks and lists come every few seconds; a line for each would hide the lines that matter.
    method = scope.get("method", "WEBSOCKET")
    is_frequent = method in ("GET", "HEAD") and (status < 400 or path == _READINESS)
    level = logging.DEBUG if is_frequent else logging.INFO
    if log.isEnabledFor(level):
        line = {"request_id": rid, "method": method, "path": path, "status": status, "took_s": took_s, **fields}
        log.log(level, "%s", " ".join([f"{name}={_formatted(name, value)}" for name, value in line.items()]))


def _formatted(name: str, value: Any) -> str:
    return f"{value:.{_DECIMALS.get(name, 4)}f}" if isinstance(value, float) else quoted(value)
