"""Every failure of a request as the answer that OpenAI's clients read."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from rapl_protocol.errors import ErrorCode, ServiceError
from starlette.exceptions import HTTPException

from rapl_service.http.scope import log_fields


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
