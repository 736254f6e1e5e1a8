"""Finds every replica behind a host name. In Compose, Swarm and Kubernetes one name can have many addresses."""

import asyncio
import socket
from urllib.parse import urlsplit

from rapl_service.http.hosts import is_address

_URL_HOST = {socket.AF_INET: "{}", socket.AF_INET6: "[{}]"}


async def addresses_of(url: str) -> list[str]:
    """Returns the base URLs of all replicas behind `url`, sorted.

    Two addresses of the same family are two replicas. One IPv4 and one IPv6 address, as for `localhost`, are the same
    replica, and the URL is returned unchanged. An https URL is also returned unchanged, because the certificate is for
    the name.

    Raises:
        OSError: the name cannot be resolved.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname is None or is_address(parts.hostname):
        return [url]
    port = parts.port or 80
    found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    by_family = {family: {str(each[4][0]) for each in found if each[0] == family} for family in _URL_HOST}
    family, addresses = max(by_family.items(), key=lambda each: len(each[1]))
    if len(addresses) == 1 and all(by_family.values()):
        return [url]
    return sorted(f"http://{_URL_HOST[family].format(address)}:{port}{parts.path}" for address in addresses)


def host_of(url: str) -> str:
    """Returns the value of the `Host` header for requests to this URL."""
    return urlsplit(url).netloc.rpartition("@")[2]
