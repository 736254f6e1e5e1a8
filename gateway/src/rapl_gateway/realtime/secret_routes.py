"""POST /v1/realtime/client_secrets, and the older routes that create a session and a client secret at once."""

import time
from typing import Any, Literal, cast

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import from_json
from rapl_protocol.errors import ErrorCode, ServiceError, invalid_fields
from rapl_service.http.body import MAX_DRAIN_BYTES

from rapl_gateway.api.openapi import errors
from rapl_gateway.realtime.rules.config import SessionConfig
from rapl_gateway.realtime.rules.events import random_id
from rapl_gateway.realtime.sessions import sessions_of
from rapl_gateway.security.api_keys import client_id_of

DEFAULT_LIFETIME_S = 600
"""Source: https://platform.openai.com/docs/api-reference/realtime-sessions/create-realtime-client-secret"""
_FLAT_LIFETIME_S = 60
"""How long a secret of the older routes is valid, in seconds. Source: the same, transcription_sessions."""

router = APIRouter()


_FLAT_ERRORS = errors(400, 401, 403, 413, 429)
_MAX_BODY_BYTES = 1 << 16
_SESSION = {"type": "object", "description": "The session object with which sessions of this secret begin."}
_LIFETIME = {"type": "integer", "minimum": 10, "maximum": 7200, "default": DEFAULT_LIFETIME_S}
_EXPIRES_AFTER = {"type": "object", "properties": {"anchor": {"enum": ["created_at"]}, "seconds": _LIFETIME}}
_BODY: dict[str, Any] = {"type": "object", "properties": {"expires_after": _EXPIRES_AFTER, "session": _SESSION}}


def _request(schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"content": {"application/json": {"schema": schema}}}}


class _ExpiresAfter(BaseModel):
    anchor: Literal["created_at"] = "created_at"
    seconds: int = Field(DEFAULT_LIFETIME_S, ge=10, le=7200)


class _SecretRequest(BaseModel):
    expires_after: _ExpiresAfter | None = None
    session: dict[str, Any] | None = None


class ClientSecretAnswer(BaseModel):
    value: str
    """Begins with `ek_`. Send it instead of an API key when you open the WebSocket."""
    expires_at: int
    """In seconds since 1970. A session that was opened before goes on."""
    session: dict[str, Any]


class FlatSecret(BaseModel):
    value: str
    expires_at: int


class FlatSession(BaseModel, extra="allow"):
    """The session object in the older form, with a secret."""

    id: str
    object: Literal["realtime.transcription_session"] = "realtime.transcription_session"
    client_secret: FlatSecret


@router.post("/v1/realtime/client_secrets", openapi_extra=_request(_BODY), responses=errors(400, 401, 403, 413, 429))
async def create_client_secret(request: Request) -> ClientSecretAnswer:
    """Creates a short-lived key for realtime sessions, which a web page may have."""
    wanted = _secret_request(await _body(request))
    session = wanted.session or {}
    config = _config(request, session)
    lifetime_s = wanted.expires_after.seconds if wanted.expires_after else DEFAULT_LIFETIME_S
    value, secret = sessions_of(request).secrets.create(client_id_of(request), session, lifetime_s)
    described = {"object": "realtime.transcription_session", "id": random_id("sess"), **config.described()}
    return ClientSecretAnswer(value=value, expires_at=secret.expires_at, session=described)


@router.post("/v1/realtime/transcription_sessions", openapi_extra=_request(_SESSION), responses=_FLAT_ERRORS)
@router.post("/v1/realtime/transcription_session", openapi_extra=_request(_SESSION), responses=_FLAT_ERRORS)
@router.post("/v1/realtime/sessions", openapi_extra=_request(_SESSION), responses=_FLAT_ERRORS)
async def create_flat_session(request: Request) -> FlatSession:
    """Creates a client secret; the request and the answer have the older, flat form of the session object."""
    config = _config(request, session := await _body(request))
    value, secret = sessions_of(request).secrets.create(client_id_of(request), session, _FLAT_LIFETIME_S)
    described: dict[str, Any] = {
        "id": random_id("sess"),
        "expires_at": int(time.time()) + _FLAT_LIFETIME_S,
        **config.described_flat(),
        "client_secret": FlatSecret(value=value, expires_at=secret.expires_at),
    }
    return FlatSession.model_validate(described)


def _config(request: Request, session: dict[str, Any]) -> SessionConfig:
    """Raises: ServiceError: the session object is invalid, or there is no such model."""
    sessions = sessions_of(request)
    config = sessions.new_config().updated(session)
    if config.model:
        sessions.require_model(config.model)
    return config


async def _body(request: Request) -> dict[str, Any]:
    """The request's JSON object; {} if it has no body. Raises: ServiceError."""
    body, size_bytes = b"", 0
    async for part in request.stream():  # to its end, because a client that is still sending does not read the answer
        size_bytes += len(part)
        body = body + part if size_bytes <= _MAX_BODY_BYTES else b""
        if size_bytes > MAX_DRAIN_BYTES:
            break
    if size_bytes > _MAX_BODY_BYTES:
        raise ServiceError(ErrorCode.AUDIO_TOO_LARGE, f"the body is larger than {_MAX_BODY_BYTES >> 10} KiB")
    try:
        sent: Any = from_json(body or b"{}")
    except ValueError:
        raise ServiceError(ErrorCode.INVALID_REQUEST, "the body is not JSON") from None
    if not isinstance(sent, dict):
        raise ServiceError(ErrorCode.INVALID_REQUEST, "the body must be a JSON object")
    return cast("dict[str, Any]", sent)


def _secret_request(body: dict[str, Any]) -> _SecretRequest:
    try:
        return _SecretRequest.model_validate(body)
    except ValidationError as error:
        invalid = invalid_fields(error)[0]
        raise ServiceError(ErrorCode.INVALID_REQUEST, str(invalid), param=invalid.name) from None
