"""Who may call: API keys, and web pages of other origins. Nobody is asked or let in unless the operator says so."""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from typing import Any

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_service.http.errors import refuse
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

CLIENT_ID = "rapl_share"
"""Where a request's scope says whose it is, by a digest of the key."""
_OPEN_PATHS = frozenset({"/health/live", "/health/ready"})


def cors_policy(origins: Sequence[str]) -> dict[str, Any]:
    """What browsers are told about pages of these origins; the rest of the names is what OpenAI's clients read."""
    return {
        "allow_origins": list(origins),
        "allow_methods": ["GET", "POST", "OPTIONS"],
        "allow_headers": ["*"],  # answered by naming those that were asked for: `*` would not cover Authorization
        "allow_private_network": True,
        "expose_headers": ["x-request-id", "retry-after", "x-should-retry", "openai-processing-ms", "server-timing"],
        "max_age": 600,
    }


class ApiKeys:
    """ASGI middleware: a request without a known key is answered 401 before its body is looked at."""

    def __init__(self, app: ASGIApp, keys: Iterable[str]) -> None:
        self._app = app
        self._digests = [_digest(key) for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in _OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        given = _digest(_bearer(HTTPConnection(scope)))
        # Every key is compared, in constant time: how long it takes tells nothing of which one came close.
        if any([hmac.compare_digest(given, known) for known in self._digests]):
            await self._app({**scope, CLIENT_ID: given.hex()}, receive, send)
            return
        message = "Incorrect API key provided: send one of the server's keys as `Authorization: Bearer <key>`."
        await refuse(scope, receive, send, ServiceError(ErrorCode.INVALID_API_KEY, message))


def _bearer(request: HTTPConnection) -> str:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
