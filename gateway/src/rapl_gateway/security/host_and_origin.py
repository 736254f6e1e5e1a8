"""Protects a server on this machine from web pages of other sites.

A page can send requests to 127.0.0.1. These requests have the page's `Origin`. With DNS rebinding, the page's own host
name later points to this machine, and the page can even read the responses. These requests have that name as `Host`.
"""

from collections.abc import Iterable

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_service.http.errors import refuse
from rapl_service.http.hosts import AllowedHosts, local_names
from starlette.types import ASGIApp, Receive, Scope, Send

from rapl_gateway.security.cross_origin import AllowedOrigins

_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class HostAndOriginCheck:
    """ASGI middleware: refuses requests with a `Host` that is not this server, and requests from pages of other sites
    that could change something.

    Args:
        app: the application that gets the requests that are not refused.
        hosts: further names of this server. A name may begin with `*.`; `*` allows every name.
        origins: origins of pages and programs that may send any request.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str], origins: AllowedOrigins) -> None:
        self._app = app
        self._hosts = AllowedHosts(local_names().union(hosts))
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = self._error(scope)
        if error is None:
            await self._app(scope, receive, send)
        else:
            await refuse(scope, receive, send, error)

    def _error(self, scope: Scope) -> ServiceError | None:
        host = origin = None
        for name, value in scope["headers"]:
            if name == b"host":
                host = value
            elif name == b"origin":
                origin = value.decode("latin-1")
        if host is not None and not self._hosts.allow(host):
            message = "The Host header does not name this server. To allow the name, add it to RAPL_ALLOWED_HOSTS."
            return ServiceError(ErrorCode.FORBIDDEN, message)
        is_reading = scope.get("method") in _READING  # a WebSocket has no method and counts as writing
        if origin and not is_reading and not self._may_write(origin, host):
            message = "Web pages of this origin may not use the server. To allow them, add it to RAPL_CORS_ORIGINS."
            return ServiceError(ErrorCode.FORBIDDEN, message)
        return None

    def _may_write(self, origin: str, host: bytes | None) -> bool:
        """Returns whether pages of this origin may change something. The server's own page may."""
        if self._origins.allow(origin):
            return True
        scheme, _, origin_host = origin.partition("://")
        is_web_page = scheme in ("http", "https")
        return is_web_page and host is not None and origin_host.lower() == host.decode("latin-1").lower()
