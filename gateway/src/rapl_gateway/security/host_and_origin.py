"""Keeps out what other people's web pages could do to a server on this machine.

A page may send requests to 127.0.0.1 (they carry its `Origin`), and a page whose own name is made to point here
afterwards (DNS rebinding) may even read the answers (they carry that name as `Host`).
"""

import ipaddress
import socket
from collections.abc import Iterable
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_service.http.errors import refuse
from starlette.types import ASGIApp, Receive, Scope, Send

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_MAX_REMEMBERED = 256


def own_names() -> frozenset[str]:
    """Names that mean this machine wherever they are used, and that nobody else can have."""
    machine = socket.gethostname().lower()
    return frozenset(
        {
            "localhost",
            "*.localhost",
            "gateway",
            "host.docker.internal",
            machine,
            f"{machine.removesuffix('.local')}.local",
        }
    )


class HostAndOriginCheck:
    """ASGI middleware: lets in only requests to a name of ours, and no other site's page to change anything.

    Args:
        app: what they are let in to.
        hosts: further names, which may begin with `*.`; `*` is every name.
        origins: whose pages may do as they like; `*` is everybody's.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str], origins: Iterable[str]) -> None:
        self._app = app
        self._hosts = own_names() | {host.lower() for host in hosts}
        self._origins = frozenset(origins)
        self._known: dict[bytes, bool] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = self._refusal(scope)
        if error is None:
            await self._app(scope, receive, send)
        else:
            await refuse(scope, receive, send, error)

    def _refusal(self, scope: Scope) -> ServiceError | None:
        host = origin = None
        for name, value in scope["headers"]:
            if name == b"host":
                host = value
            elif name == b"origin":
                origin = value.decode("latin-1")
        if host is not None and not self._is_ours(host):
            message = "This name is not one of the server's own; RAPL_ALLOWED_HOSTS adds to them."
            return ServiceError(ErrorCode.FORBIDDEN, message)
        if origin and scope.get("method") not in _READING and not self._may_write(origin, host):
            message = "Web pages of this origin may not use the server; RAPL_CORS_ORIGINS lists those that may."
            return ServiceError(ErrorCode.FORBIDDEN, message)
        return None

    def _is_ours(self, host: bytes) -> bool:
        known = self._known.get(host)
        if known is None:
            name = _name(host.decode("latin-1").lower())
            known = _is_address(name) or any(fnmatchcase(name, pattern) for pattern in self._hosts)
            if len(self._known) < _MAX_REMEMBERED:
                self._known[host] = known
        return known

    def _may_write(self, origin: str, host: bytes | None) -> bool:
        """Pages of sites have `http` or `https`, or `null` in a frame; other schemes are installed programs'."""
        if origin in self._origins or "*" in self._origins:
            return True
        scheme, _, place = origin.partition("://")
        if scheme in ("http", "https"):
            return host is not None and place.lower() == host.decode("latin-1").lower()
        return origin != "null"


def _name(host: str) -> str:
    """Without the port. Nothing is taken for a name that is not one."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    """An address cannot be rebound: a page from there is the server's own."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
