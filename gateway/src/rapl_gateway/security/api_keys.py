"""API keys. None is required unless the operator sets some.

A browser cannot set the headers of a WebSocket. Its clients send the key as the name of a subprotocol.
Source: https://platform.openai.com/docs/guides/realtime-websocket.
"""

from collections.abc import Iterable

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_service.http.errors import refuse
from rapl_service.http.tokens import BearerTokens
from rapl_service.telemetry.endpoint import HAS_KEY, METRICS_PATH
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from rapl_gateway.security.client_secrets import ClientSecrets

CLIENT_ID = "rapl_client_id"
"""Key in a request's scope. Its value is the digest of the request's API key, in hexadecimal, and identifies the
client in the queue."""
KEY_PROTOCOL = "openai-insecure-api-key."
"""Beginning of a subprotocol that has the key."""
_OPEN_PATHS = frozenset({"/health", "/health/live", "/health/ready", "/openapi.json"})


def sent_key(scope: Scope) -> str | None:
    """The key of a request: from its `Authorization` header or, if a WebSocket has none, from a subprotocol."""
    kind, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
    if kind:
        return token.strip() if kind.lower() == "bearer" else None
    for protocol in scope.get("subprotocols", ()):
        if protocol.startswith(KEY_PROTOCOL):
            return protocol.removeprefix(KEY_PROTOCOL)
    return None


def client_id_of(connection: HTTPConnection) -> str:
    """The digest of the client's API key, or the client's address if the gateway has no keys."""
    return connection.scope.get(CLIENT_ID) or (connection.client.host if connection.client else "")


class ApiKeys:
    """ASGI middleware: a request without one of the server's keys gets 401, before its body is read. A WebSocket may
    have a client secret instead.

    Args:
        app: the application that gets the other requests.
        keys: the server's keys.
        secrets: the client secrets that are valid.
        open_paths: further paths that need no key. They are whole paths: the beginning of a path may belong to several
            routes, because clients put prefixes before the API's paths.
    """

    def __init__(
        self, app: ASGIApp, keys: Iterable[str], secrets: ClientSecrets, open_paths: Iterable[str] = ()
    ) -> None:
        self._app = app
        self._open_paths = _OPEN_PATHS.union(open_paths)
        self._keys = BearerTokens(keys)
        self._secrets = secrets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in self._open_paths:
            await self._app(scope, receive, send)
            return
        client_id = self._client_id(scope)
        if scope["path"] == METRICS_PATH:  # its route decides
            await self._app({**scope, HAS_KEY: client_id is not None}, receive, send)
        elif client_id:
            await self._app({**scope, CLIENT_ID: client_id}, receive, send)
        else:
            message = "Incorrect API key provided: send one of the server's keys as `Authorization: Bearer <key>`."
            await refuse(scope, receive, send, ServiceError(ErrorCode.INVALID_API_KEY, message))

    def _client_id(self, scope: Scope) -> str | None:
        key = sent_key(scope)
        if key and (digest := self._keys.known_digest(f"Bearer {key}")):
            return digest.hex()
        secret = self._secrets.find(key) if scope["type"] == "websocket" else None
        # Another gateway may have made it for a key that this server does not have, or no longer.
        return secret.client_id if secret and self._keys.has(secret.client_id) else None
