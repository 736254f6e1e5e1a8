"""Converts every failure of a request to the error envelope that OpenAI's clients read."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from rapl_protocol.errors import ErrorCode, ServiceError, invalid_field
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from rapl_service.http.body import drain
from rapl_service.http.scope import log_fields


def error_response(error: ServiceError) -> JSONResponse:
    return JSONResponse(error.envelope(), error.status, headers=error.headers())


def logged_error_response(request: Request, error: ServiceError) -> JSONResponse:
    """The response to a request that failed. It also adds the error's code to the request's log line."""
    log_fields(request)["error"] = error.code.value
    return error_response(error)


async def refuse(scope: Scope, receive: Receive, send: Send, error: ServiceError) -> None:
    """Sends the error as the response to a request or a WebSocket handshake. First reads the rest of an HTTP body."""
    if scope["type"] == "http":
        await drain(receive)
    await send_error(scope, receive, send, error)


async def send_error(scope: Scope, receive: Receive, send: Send, error: ServiceError) -> None:
    """Sends the error as the response, which must not have begun, and adds its code to the request's log line."""
    scope["rapl_log"]["error"] = error.code.value
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close"})  # a server without the extension can only respond with 403
    else:
        await error_response(error)(scope, receive, send)


def install_error_handlers(app: FastAPI) -> None:
    """Converts every failure of `app` to OpenAI's error envelope. RequestMiddleware handles failures of WebSockets."""

    async def on_service_error(request: Request, error: Any) -> JSONResponse:
        return _answer(request, error)

    async def on_http_error(request: Request, error: Any) -> JSONResponse:
        return _answer(request, _from_http_error(request, error))

    async def on_invalid(request: Request, error: Any) -> JSONResponse:
        _, *path = error.errors()[0]["loc"]  # it begins with "query", "path" or "body"
        invalid = invalid_field({**error.errors()[0], "loc": path})
        return _answer(request, ServiceError(ErrorCode.INVALID_REQUEST, str(invalid), param=invalid.name))

    app.add_exception_handler(ServiceError, on_service_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_invalid)


def _answer(request: Request, error: ServiceError) -> JSONResponse:
    if request.scope["type"] == "websocket":
        raise error
    return logged_error_response(request, error)


def _from_http_error(request: Request, error: HTTPException) -> ServiceError:
    route = f"{request.scope.get('method', 'WEBSOCKET')} {request.url.path}"
    match error.status_code:
        case 404:
            return ServiceError(ErrorCode.NOT_FOUND, f"Invalid URL ({route})")
        case 405:
            return ServiceError(ErrorCode.METHOD_NOT_ALLOWED, f"Not allowed: {route}")
        case status if status >= 500:
            return ServiceError(ErrorCode.INTERNAL, "internal error; the server's log has the cause")
        case _:
            return ServiceError(ErrorCode.INVALID_REQUEST, str(error.detail))
