"""Host names and addresses that refer to this machine."""

import ipaddress
import socket
from collections.abc import Iterable
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

CONTAINER_HOST_NAMES = ("host.docker.internal", "host.containers.internal", "host.lima.internal", "host.orb.internal")
"""Names that containers use for the machine on which they run."""
_MAX_REMEMBERED = 256


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether a service that listens on this host can be reached from this machine only."""
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)


def local_names() -> frozenset[str]:
    """Names that always refer to this machine and that no other site can have; `*.` matches any subdomain."""
    machine = socket.gethostname().lower()
    names = {"localhost", "*.localhost", machine, f"{machine.removesuffix('.local')}.local"}
    return frozenset(names.union(CONTAINER_HOST_NAMES))


class AllowedHosts:
    """Decides whether a `Host` header names this server.

    Every IP address is allowed: DNS rebinding needs a name, so a page at an address is the server's own.

    Args:
        names: allowed names, besides all addresses. A name may begin with `*.`, and `*` allows every name.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(name.lower() for name in names)
        self._known: dict[bytes, bool] = {}

    def allow(self, host: bytes) -> bool:
        """Whether the header is allowed.

        Args:
            host: the header's value, with or without a port.
        """
        known = self._known.get(host)
        if known is None:
            name = without_port(host.decode("latin-1").lower())
            known = is_address(name) or any(fnmatchcase(name, pattern) for pattern in self._names)
            if len(self._known) < _MAX_REMEMBERED:
                self._known[host] = known
        return known


def without_port(host: str) -> str:
    """The name in a `Host` header; "" if the header is malformed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
