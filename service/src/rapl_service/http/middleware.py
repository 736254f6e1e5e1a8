"""The outermost middleware of every service: a request id, one log line a request, and an answer to any exception."""

import logging
import re
import secrets
import time
from typing import Any
from urllib.parse import quote

from rapl_protocol.errors import ErrorCode, ServiceError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rapl_service.http.errors import error_response
from rapl_service.log import log

REQUEST_ID_HEADER = "x-request-id"
_SAFE_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")


class RequestMiddleware:
    """Gives each request an id, answers it in the header, logs one line, and turns what nobody foresaw into a 500."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        scope["rapl_request_id"] = rid = _given_request_id(scope) or f"req_{secrets.token_hex(16)}"
        scope["rapl_log"] = fields = {}
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (REQUEST_ID_HEADER.encode(), rid.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except ServiceError as error:
            if status:
                raise
            fields["error"] = error.code.value
            await error_response(error)(scope, receive, send_with_id)
        except Exception:
            log.exception("request_id=%s failed", rid)
            if status:
                raise  # the answer has begun: only a cut connection can still say that it is not whole
            error = ServiceError(ErrorCode.INTERNAL, "internal error; the server's log has the cause")
            await error_response(error)(scope, receive, send_with_id)
        finally:
            _log_request(scope, rid, status, time.perf_counter() - began, fields)


def _given_request_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == REQUEST_ID_HEADER.encode():
            text = value.decode("latin-1")
            return text if _SAFE_REQUEST_ID.fullmatch(text) else None
    return None


def _log_request(scope: Scope, rid: str, status: int, took_s: float, fields: dict[str, Any]) -> None:
    # Machines ask for health and for lists every few seconds; a line for each would bury those that count.
    level = logging.DEBUG if scope["method"] == "GET" and status < 400 else logging.INFO
    if log.isEnabledFor(level):
        details = "".join(f" {name}={value}" for name, value in fields.items())
        log.log(
            level,
            "request_id=%s method=%s path=%s status=%s took_s=%.4f%s",
            rid, scope["method"], quote(scope["path"]), status, took_s, details,
        )  # fmt: skip
