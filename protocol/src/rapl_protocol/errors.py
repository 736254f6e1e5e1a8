"""The errors of RAPL, and the format in which they are sent between services and to clients.

    ServiceError(code)  ->  OpenAI's envelope + HTTP status  ->  ServiceError(code)

An error is raised where its cause is known. One table, `HTTP_STATUS`, gives its HTTP status. Invalid values are
described without the values: they may be a transcript, a prompt or a key.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from pydantic import ValidationError


class ErrorCode(StrEnum):
    """The code of an error. The list is complete, so a client may branch on it."""

    INVALID_REQUEST = "invalid_request"
    UNSUPPORTED_PARAMETER = "unsupported_parameter"
    AUDIO_UNDECODABLE = "audio_undecodable"
    INVALID_API_KEY = "invalid_api_key"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    MODEL_NOT_FOUND = "model_not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    MODEL_IN_USE = "model_in_use"
    AUDIO_TOO_LARGE = "audio_too_large"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    OVERLOADED = "overloaded"
    MODEL_NOT_READY = "model_not_ready"
    BACKEND_UNAVAILABLE = "backend_unavailable"
    BACKEND_TIMEOUT = "backend_timeout"
    INTERNAL = "internal_error"
    STORAGE_FAILED = "storage_failed"


HTTP_STATUS: dict[ErrorCode, int] = {
    ErrorCode.INVALID_REQUEST: 400,
    ErrorCode.UNSUPPORTED_PARAMETER: 400,
    ErrorCode.AUDIO_UNDECODABLE: 400,
    ErrorCode.INVALID_API_KEY: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.MODEL_NOT_FOUND: 404,
    ErrorCode.METHOD_NOT_ALLOWED: 405,
    ErrorCode.MODEL_IN_USE: 409,
    ErrorCode.AUDIO_TOO_LARGE: 413,
    ErrorCode.UNSUPPORTED_ENCODING: 415,
    ErrorCode.OVERLOADED: 429,
    ErrorCode.INTERNAL: 500,
    ErrorCode.MODEL_NOT_READY: 503,
    ErrorCode.BACKEND_UNAVAILABLE: 503,
    ErrorCode.BACKEND_TIMEOUT: 504,
    ErrorCode.STORAGE_FAILED: 507,
}

_QUOTES_ITS_INPUT = "union_tag_invalid"
"""The only type of pydantic's own errors whose message has the input in it.
Source: https://docs.pydantic.dev/latest/errors/validation_errors/"""
_MAX_RETRY_AFTER_DIGITS = 7
"""Most digits of a `retry-after` value. Longer values, over four months, are ignored."""
# OpenAI's SDKs repeat a request, with the whole upload, after 408, 409, 429 and every 5xx. A retry after these errors
# would fail too, so their response has `x-should-retry: false`. Source: openai-python, _base_client.py.
_NOT_RETRYABLE = frozenset(
    {ErrorCode.MODEL_IN_USE, ErrorCode.INTERNAL, ErrorCode.BACKEND_TIMEOUT, ErrorCode.STORAGE_FAILED}
)
_HEADERS = {
    ErrorCode.INVALID_API_KEY: {"www-authenticate": "Bearer"},
    ErrorCode.UNSUPPORTED_ENCODING: {"accept-encoding": "identity"},
}
"""Headers that tell a client how to send the request. Source: RFC 9110, 11.6.1 and 15.5.16."""


class ServiceError(Exception):
    """A failure whose message may be shown to the client.

    Args:
        code: the kind of failure.
        message: what is wrong and, if the reader can fix it, how. It must not contain a transcript, a file name or
            a secret.
        param: the field of the request that caused it, if one did.
        retry_after_s: seconds after which a retry may succeed; None if unknown.
        remedy: a sentence that says what a person can do; it becomes the end of the message.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        param: str | None = None,
        retry_after_s: float | None = None,
        remedy: str | None = None,
    ) -> None:
        self.reason = message
        """The message without the remedy."""
        self.remedy = remedy
        self.message = f"{message} {remedy}" if remedy else message
        super().__init__(self.message)
        self.code = code
        self.param = param
        self.retry_after_s = retry_after_s

    @property
    def status(self) -> int:
        return HTTP_STATUS[self.code]

    def envelope(self) -> dict[str, Any]:
        """The body of the response, in the format that OpenAI's clients read.

        Source: https://github.com/openai/openai-openapi, schema ErrorResponse.
        """
        match self.status:
            case 429:
                kind = "rate_limit_error"
            case status if status >= 500:
                kind = "server_error"
            case _:
                kind = "invalid_request_error"
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code.value}}

    def headers(self) -> dict[str, str]:
        """Response headers that tell a client how to send the request, and an SDK whether and when to retry it."""
        headers = dict(_HEADERS.get(self.code, {}))
        if self.code in _NOT_RETRYABLE:
            headers["x-should-retry"] = "false"
        elif self.retry_after_s is not None:
            headers["retry-after"] = f"{max(1, round(self.retry_after_s))}"
        return headers

    @classmethod
    def from_response(cls, status: int, body: Any, retry_after: str | None = None) -> Self:
        """The error in the response of another RAPL service; INTERNAL if the body is not an error envelope."""
        match body:
            case {"error": {"message": str(message), "code": str(code), **rest}} if code in set(ErrorCode):
                param = rest.get("param")
                param = param if isinstance(param, str) else None
                return cls(ErrorCode(code), message, param=param, retry_after_s=seconds_to_wait(retry_after))
            case _:
                return cls(ErrorCode.INTERNAL, f"an internal service responded with {status} and no error message")


def seconds_to_wait(retry_after: str | None) -> float | None:
    """The seconds in a `retry-after` header; None if it is missing, is a date or is out of range."""
    if retry_after is None or not retry_after.isdecimal() or len(retry_after) > _MAX_RETRY_AFTER_DIGITS:
        return None
    return float(retry_after)


@dataclass(frozen=True, slots=True)
class InvalidField:
    """A field with an invalid value."""

    path: tuple[str, ...]
    """Names of the fields and numbers of the list items that lead to it; empty if the whole value is invalid."""
    message: str
    """What is wrong, without the value."""

    @property
    def name(self) -> str | None:
        """The path with dots, such as `segments.0.start`; None if the whole value is invalid."""
        return ".".join(self.path) or None

    def __str__(self) -> str:
        return f"{self.name}: {self.message}" if self.path else self.message


def invalid_field(details: Mapping[str, Any]) -> InvalidField:
    """Describes one entry of pydantic's `errors()`."""
    message = "Input has an unknown type" if details["type"] == _QUOTES_ITS_INPUT else details["msg"]
    return InvalidField(tuple(map(str, details["loc"])), message)


def invalid_fields(error: ValidationError) -> list[InvalidField]:
    return [invalid_field(each) for each in error.errors(include_url=False, include_context=False, include_input=False)]


def reason_of(error: ValueError) -> str:
    """The message of an error of parsing. A pydantic error's own message has the input, so it is described instead."""
    return str(invalid_fields(error)[0]) if isinstance(error, ValidationError) else str(error)
