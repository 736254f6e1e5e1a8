"""API keys. None is required unless the operator sets some."""

from collections.abc import Iterable

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_service.http.errors import refuse
from rapl_service.http.tokens import BearerTokens
from rapl_service.telemetry.endpoint import HAS_KEY, METRICS_PATH
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

CLIENT_ID = "rapl_client_id"
"""Key in a request's scope. Its value is the digest of the request's API key, in hexadecimal, and identifies the
client in the queue."""
_OPEN_PATHS = frozenset({"/health", "/health/live", "/health/ready", "/openapi.json"})


class ApiKeys:
    """ASGI middleware: a request without one of the server's keys gets 401, before its body is read."""

    def __init__(self, app: ASGIApp, keys: Iterable[str]) -> None:
        self._app = app
        self._keys = BearerTokens(keys)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in _OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        digest = self._keys.known_digest(Headers(scope=scope).get("authorization", ""))
        if scope["path"] == METRICS_PATH:  # its route decides
            await self._app({**scope, HAS_KEY: digest is not None}, receive, send)
        elif digest:
            await self._app({**scope, CLIENT_ID: digest.hex()}, receive, send)
        else:
            message = "Incorrect API key provided: send one of the server's keys as `Authorization: Bearer <key>`."
            await refuse(scope, receive, send, ServiceError(ErrorCode.INVALID_API_KEY, message))
