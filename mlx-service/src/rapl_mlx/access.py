"""Who may call: those who know the token, by a name that is ours, and no web page.

A page that is open in a browser on this machine can reach 127.0.0.1: by a form, or by a name of its own that it lets
point here (DNS rebinding). The one shows by its Origin, the other by its Host; an address in Host cannot be rebound.
"""

import hashlib
import hmac
import ipaddress
from collections.abc import Iterable

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_service.http.errors import refuse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

OUR_NAMES = ("localhost", "host.docker.internal", "host.containers.internal", "host.lima.internal", "host.orb.internal")
"""Names of this machine: its own, and those by which containers on it call it."""
_OPEN_PATH = "/health/live"


class Access:
    """ASGI middleware: refuses before the body is looked at.

    Args:
        token: what callers must send as `Authorization: Bearer`; None asks for none.
        names: by which this service may be called besides `OUR_NAMES` and addresses.
    """

    def __init__(self, app: ASGIApp, token: str | None = None, names: Iterable[str] = ()) -> None:
        self._app = app
        self._digest = _digest(token) if token else None
        self._names = frozenset(name.lower() for name in (*OUR_NAMES, *names))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope["path"], Headers(scope=scope))
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            await refuse(scope, receive, send, refusal)

    def _refusal(self, path: str, headers: Headers) -> ServiceError | None:
        if "origin" in headers:
            return ServiceError(ErrorCode.FORBIDDEN, "Web pages may not call mlx-service; call the gateway.")
        if not self._is_ours(headers.get("host", "")):
            message = "mlx-service is not called by this name. To allow it, add it to RAPL_MLX_ALLOWED_HOSTS."
            return ServiceError(ErrorCode.FORBIDDEN, message)
        if self._digest and path != _OPEN_PATH and not self._is_known(headers.get("authorization", "")):
            message = "mlx-service wants its token, RAPL_MLX_TOKEN, as `Authorization: Bearer <token>`."
            return ServiceError(ErrorCode.INVALID_API_KEY, message)
        return None

    def _is_ours(self, host: str) -> bool:
        name = _without_port(host).lower()
        return name in self._names or is_address(name)

    def _is_known(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        given = _digest(token.strip())
        return scheme.lower() == "bearer" and hmac.compare_digest(given, self._digest or b"")


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether a service that listens there is reached from this machine only."""
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)


def _without_port(host: str) -> str:
    if host.startswith("["):
        address, bracket, _ = host[1:].partition("]")
        return address if bracket else host
    name, _, _ = host.partition(":")
    return name


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
