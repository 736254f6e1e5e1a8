"""API keys, and the CORS policy for web pages of other origins. Both are off unless the operator sets them."""

from collections.abc import Iterable, Sequence
from typing import Any

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_service.http.errors import refuse
from rapl_service.http.tokens import BearerTokens
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

CLIENT_ID = "rapl_client_id"
"""Key in a request's scope. Its value is the digest of the request's API key, in hexadecimal, and identifies the
client in the queue."""
_OPEN_PATHS = frozenset({"/health/live", "/health/ready"})


def cors_policy(origins: Sequence[str]) -> dict[str, Any]:
    """Returns the options of CORSMiddleware for pages of these origins. The pages may read the headers that OpenAI's
    clients read."""
    return {
        "allow_origins": list(origins),
        "allow_methods": ["GET", "POST", "OPTIONS"],
        "allow_headers": ["*"],  # the response names the requested ones: a literal `*` would not cover Authorization
        "allow_private_network": True,
        "expose_headers": ["x-request-id", "retry-after", "x-should-retry", "openai-processing-ms", "server-timing"],
        "max_age": 600,
    }


class ApiKeys:
    """ASGI middleware: a request without one of the server's keys gets 401, before its body is read."""

    def __init__(self, app: ASGIApp, keys: Iterable[str]) -> None:
        self._app = app
        self._keys = BearerTokens(keys)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in _OPEN_PATHS:
            await self._app(scope, receive, send)
        elif digest := self._keys.known_digest(Headers(scope=scope).get("authorization", "")):
            await self._app({**scope, CLIENT_ID: digest.hex()}, receive, send)
        else:
            message = "Incorrect API key provided: send one of the server's keys as `Authorization: Bearer <key>`."
            await refuse(scope, receive, send, ServiceError(ErrorCode.INVALID_API_KEY, message))
