"""The manners that every RAPL service shares on HTTP: one error shape, a request id, one log line a request."""

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Coroutine
from typing import Any, TypeVar
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rapl_protocol.errors import ErrorCode, ServiceError

REQUEST_ID_HEADER = "x-request-id"
PEER = "rapl_peer"
"""Where a request's scope has the `Peer` that sent it."""
MAX_DRAIN_BYTES = 256 << 20
"""Of a refused body; whoever sends more sees the connection close."""
BODY_GRACE_S = 30.0
LEAST_BYTES_PER_S = 500
"""A body that comes as fast as this, apart from the grace, is waited for: a quarter of the slowest speech codecs."""
_SAFE_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")

NO_TELEMETRY: TelemetryConfig = {
    "tracing": False, "metrics": False, "logs": False, "operation_spans": False, "auto_configure": False,
}  # fmt: skip
"""For every `FastAPI`: an environment variable of somebody else's must not have it tell what a private server does."""

T = TypeVar("T")

log = logging.getLogger("rapl")


def configure_logging(level: str = "INFO") -> None:
    """Sends the log to stderr, a line a record, with the time in UTC."""
    handler = logging.StreamHandler()
    formatter = logging.Formatter("%(asctime)sZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # What no line shows need not be looked up for each.
    # Source: https://docs.python.org/3/howto/logging.html#optimization
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # type: ignore[attr-defined]


def error_response(error: ServiceError) -> JSONResponse:
    return JSONResponse(error.envelope(), error.status, headers=error.headers())


def refused(request: Request, error: ServiceError) -> JSONResponse:
    """The answer to a request that failed, which the log names too."""
    log_fields(request)["error"] = error.code.value
    return error_response(error)


def install_error_handlers(app: FastAPI) -> None:
    """Answers every failure of `app` in OpenAI's envelope."""

    async def on_service_error(request: Request, error: Any) -> JSONResponse:
        return refused(request, error)

    async def on_http_error(request: Request, error: Any) -> JSONResponse:
        return refused(request, _from_http_error(request, error))

    async def on_invalid(request: Request, error: Any) -> JSONResponse:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"][1:]) or None
        message = f"{field}: {first['msg']}" if field else first["msg"]
        return refused(request, ServiceError(ErrorCode.INVALID_REQUEST, message, param=field))

    app.add_exception_handler(ServiceError, on_service_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_invalid)


def _from_http_error(request: Request, error: HTTPException) -> ServiceError:
    place = f"{request.method} {request.url.path}"
    match error.status_code:
        case 404:
            return ServiceError(ErrorCode.NOT_FOUND, f"Invalid URL ({place})")
        case 405:
            return ServiceError(ErrorCode.METHOD_NOT_ALLOWED, f"Not allowed: {place}")
        case status if status >= 500:
            return ServiceError(ErrorCode.INTERNAL, "internal error; the server's log has the cause")
        case _:
            return ServiceError(ErrorCode.INVALID_REQUEST, str(error.detail))


async def drain(receive: Receive, max_bytes: int = MAX_DRAIN_BYTES) -> None:
    """Reads the rest of a body and throws it away, so that a client that is still sending sees its answer.

    Node's fetch reports a broken pipe instead of the answer, and sends everything again.
    """
    drained = 0
    while drained < max_bytes:
        message = await receive()
        drained += len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return


class Patience:
    """ASGI middleware: gives up on a body that comes too slowly, as one that is held back to hold us up."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, _in_time(receive) if scope["type"] == "http" else receive, send)


def _in_time(receive: Receive) -> Receive:
    waited_s, received, is_whole = 0.0, 0, False

    async def receive_in_time() -> Message:
        """Raises: ServiceError, INVALID_REQUEST."""
        nonlocal waited_s, received, is_whole
        if is_whole:
            return await receive()
        began = time.monotonic()
        try:
            async with asyncio.timeout(BODY_GRACE_S + received / LEAST_BYTES_PER_S - waited_s):
                message = await receive()
        except TimeoutError:
            raise ServiceError(ErrorCode.INVALID_REQUEST, "the request's body came too slowly") from None
        waited_s += time.monotonic() - began
        received += len(message.get("body", b""))
        is_whole = not message.get("more_body")
        return message

    return receive_in_time


class Peer:
    """Who sends requests over a connection, and is there until it ends. ASGI's own word of that, `http.disconnect`,
    takes a task that waits for it."""

    def __init__(self) -> None:
        self.has_left = False
        self.awaited_by: set[asyncio.Task[Any]] = set()
        """What is of no use without it."""

    def leave(self) -> None:
        self.has_left = True
        for task in self.awaited_by:
            task.cancel()


async def unless_client_leaves(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Awaits the work for a request whose body has been read; when the client goes away it is cancelled.

    A client that gave up sends its request again, and should not find its first one still in the way.

    Raises:
        ServiceError: INVALID_REQUEST, which nobody sees but the log.
    """
    peer: Peer = request.scope.get(PEER) or Peer()  # only GuardedHttp tells
    if peer.has_left:
        work.close()
        raise ServiceError(ErrorCode.INVALID_REQUEST, "the client went away")
    here = asyncio.current_task()
    assert here
    peer.awaited_by.add(here)
    try:
        return await work
    except asyncio.CancelledError:
        if not peer.has_left:
            raise
        here.uncancel()
        raise ServiceError(ErrorCode.INVALID_REQUEST, "the client went away") from None
    finally:
        peer.awaited_by.discard(here)


def log_fields(request: Request) -> dict[str, Any]:
    """What a route adds to the line that is logged for this request; never a transcript, a prompt or a file name."""
    return request.scope["rapl_log"]


def request_id(request: Request) -> str:
    return request.scope["rapl_request_id"]


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
