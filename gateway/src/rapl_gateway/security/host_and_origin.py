"""Refuses what web pages of other sites could do to a server on this machine.

A page may send requests to 127.0.0.1; they have the page's `Origin`. A page whose own name is made to point here
afterwards (DNS rebinding) may even read the responses; its requests have that name as `Host`.
"""

from collections.abc import Iterable

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_service.http.errors import refuse
from rapl_service.http.hosts import AllowedHosts, local_names
from starlette.types import ASGIApp, Receive, Scope, Send

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_COMPOSE_NAME = "gateway"
"""The gateway's name among the containers of docker-compose.yml."""


class HostAndOriginCheck:
    """ASGI middleware: a request must name this server as its host, and another site's page may not change anything.

    Args:
        app: gets the requests that pass.
        hosts: further names of this server; one may begin with `*.`, and `*` is every name.
        origins: whose pages may send any request; `*` is every origin.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str], origins: Iterable[str]) -> None:
        self._app = app
        self._hosts = AllowedHosts(local_names().union((_COMPOSE_NAME,), hosts))
        self._origins = frozenset(origins)

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
        is_reading = scope.get("method") in _READING  # a WebSocket has no method, and may change anything
        if origin and not is_reading and not self._may_write(origin, host):
            message = "Web pages of this origin may not use the server. To allow them, add it to RAPL_CORS_ORIGINS."
            return ServiceError(ErrorCode.FORBIDDEN, message)
        return None

    def _may_write(self, origin: str, host: bytes | None) -> bool:
        """Sites have `http` or `https`, or `null` in a sandboxed frame; installed programs have other schemes."""
        if origin in self._origins or "*" in self._origins:
            return True
        scheme, _, origin_host = origin.partition("://")
        if scheme in ("http", "https"):
            return host is not None and origin_host.lower() == host.decode("latin-1").lower()
        return origin != "null"
