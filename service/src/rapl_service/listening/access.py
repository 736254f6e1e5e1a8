"""The access check of an engine that listens natively: requests must have its token and name this machine, and web
pages are refused.

A page that is open in a browser on this machine can send requests to 127.0.0.1: by a form, or by its own host name if
that resolves to 127.0.0.1 (DNS rebinding). The first has an `Origin` header, the second has that name as `Host`.
"""

from collections.abc import Iterable

from pydantic import SecretStr
from rapl_protocol.errors import ErrorCode, ServiceError
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from rapl_service.http.errors import refuse
from rapl_service.http.hosts import AllowedHosts, is_loopback, local_names
from rapl_service.http.tokens import BearerTokens
from rapl_service.telemetry.endpoint import HAS_KEY, METRICS_PATH

_OPEN_PATHS = frozenset({"/health/live", METRICS_PATH})


def require_token_beyond_loopback(token: SecretStr | None, host: str, prefix: str) -> SecretStr | None:
    """Returns the token.

    Args:
        token: the setting `<prefix>TOKEN`.
        host: the address on which the service listens.
        prefix: of the names of the service's settings.

    Raises:
        ValueError: there is no token, and other machines reach the service.
    """
    if token is None and not is_loopback(host):
        raise ValueError(f"it must be set, because {prefix}HOST is not an address of this machine alone")
    return token


class Access:
    """ASGI middleware: refuses a request before its body is read.

    Args:
        app: receives the accepted requests.
        service: the name of this service.
        prefix: of the names of its settings.
        token: what clients must send as `Authorization: Bearer`; None requires no token.
        names: further names of this service, beside those of this machine and addresses.
    """

    def __init__(
        self, app: ASGIApp, service: str, prefix: str, token: SecretStr | None = None, names: Iterable[str] = ()
    ) -> None:
        self._app = app
        self._service = service
        self._prefix = prefix
        self._tokens = BearerTokens([token.get_secret_value()]) if token else None
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
            return ServiceError(ErrorCode.FORBIDDEN, f"Web pages may not call {self._service}; call the gateway.")
        if not self._hosts.allow(headers.get("host", "").encode("latin-1")):
            setting = f"{self._prefix}ALLOWED_HOSTS"
            message = f"The Host header does not name {self._service}. To allow the name, add it to {setting}."
            return ServiceError(ErrorCode.FORBIDDEN, message)
        tokens = None if path in _OPEN_PATHS else self._tokens
        if tokens and not tokens.known_digest(headers.get("authorization", "")):
            setting = f"{self._prefix}TOKEN"
            message = f"{self._service} requires its token, {setting}, as `Authorization: Bearer <token>`."
            return ServiceError(ErrorCode.INVALID_API_KEY, message)
        return None
