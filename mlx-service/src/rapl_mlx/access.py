"""The access check of mlx-service: requests must have its token and name this machine, and web pages are refused.

A page that is open in a browser on this machine can send requests to 127.0.0.1: by a form, or by its own host name if
that resolves to 127.0.0.1 (DNS rebinding). The first has an `Origin` header, the second has that name as `Host`.
"""

from collections.abc import Iterable

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_service.http.errors import refuse
from rapl_service.http.hosts import AllowedHosts, local_names
from rapl_service.http.tokens import BearerTokens
from rapl_service.telemetry.endpoint import HAS_KEY, METRICS_PATH
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

_OPEN_PATHS = frozenset({"/health/live", METRICS_PATH})


class Access:
    """ASGI middleware: refuses a request before its body is read.

    Args:
        app: receives the accepted requests.
        token: what clients must send as `Authorization: Bearer`; None requires no token.
        names: further names of this service, beside those of this machine and addresses.
    """

    def __init__(self, app: ASGIApp, token: str | None = None, names: Iterable[str] = ()) -> None:
        self._app = app
        self._tokens = BearerTokens([token]) if token else None
        self._hosts = AllowedHosts(local_names().union(names))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if self._tokens and scope["path"] == METRICS_PATH:  # its route decides
            scope[HAS_KEY] = self._tokens.known_digest(headers.get("authorization", "")) is not None
        error = self._error(scope["path"], headers)
        if error is None:
            await self._app(scope, receive, send)
        else:
            await refuse(scope, receive, send, error)

    def _error(self, path: str, headers: Headers) -> ServiceError | None:
        if "origin" in headers:
            return ServiceError(ErrorCode.FORBIDDEN, "Web pages may not call mlx-service; call the gateway.")
        if not self._hosts.allow(headers.get("host", "").encode("latin-1")):
            message = "The Host header does not name mlx-service. To allow the name, add it to RAPL_MLX_ALLOWED_HOSTS."
            return ServiceError(ErrorCode.FORBIDDEN, message)
        tokens = None if path in _OPEN_PATHS else self._tokens
        if tokens and not tokens.known_digest(headers.get("authorization", "")):
            message = "mlx-service requires its token, RAPL_MLX_TOKEN, as `Authorization: Bearer <token>`."
            return ServiceError(ErrorCode.INVALID_API_KEY, message)
        return None
