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
from rapl_service.log import LineFields, log
from rapl_service.telemetry.context import LINE_IDS
from rapl_service.telemetry.metrics import Metrics

REQUEST_ID_HEADER = "x-request-id"
_START = RESPONSE_START | {"websocket.accept"}
_HEADER_NAME = REQUEST_ID_HEADER.encode()
_SAFE_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_SWITCHING_PROTOCOLS, _FORBIDDEN = 101, 403
_INTERNAL_ERROR_CLOSE_CODE = 1011
_READINESS = "/health/ready"
"""Its answer is 503 while a model is loaded, which is no failure of the request."""


class RequestMiddleware:
    """Gives each request an id, sends it in a response header, logs one line, counts it in the metrics, and converts
    unexpected errors to 500."""

    def __init__(self, app: ASGIApp, metrics: Metrics | None = None) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["rapl_began"] = began = time.perf_counter()
        scope["rapl_request_id"] = rid = _given_request_id(scope) or f"req_{secrets.token_hex(16)}"
        LINE_IDS.set({"request_id": rid})
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

        if self._metrics:
            self._metrics.in_progress += 1
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
            # A path that no route has is a text of the client. It could be anything, so it is not used.
            route, took_s = fields.pop(ROUTE, "unknown"), time.perf_counter() - began
            if self._metrics:
                self._metrics.in_progress -= 1
                self._metrics.count_request(route, status, took_s, fields)
            _log_request(scope, {"path": route, "status": status, "took_s": took_s, **fields})


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


def _log_request(scope: Scope, fields: dict[str, Any]) -> None:
    # Health checks and lists come every few seconds; a line for each would hide the lines that matter.
    method = scope.get("method", "WEBSOCKET")
    is_frequent = method in ("GET", "HEAD") and (fields["status"] < 400 or fields["path"] == _READINESS)
    level = logging.DEBUG if is_frequent else logging.INFO
    if log.isEnabledFor(level):
        log.log(level, "%s", LineFields({**LINE_IDS.get(), "method": method, **fields}))
