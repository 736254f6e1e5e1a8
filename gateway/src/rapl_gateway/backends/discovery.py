"""Finds every process behind a name: `docker compose --scale`, Swarm and Kubernetes give one name many addresses."""

import asyncio
import socket
from urllib.parse import urlsplit

from rapl_service.http.hosts import is_address

_FAMILIES = {socket.AF_INET: "{}", socket.AF_INET6: "[{}]"}


async def addresses_of(url: str) -> list[str]:
    """Base URLs of all processes that answer for `url`, sorted.

    Two addresses of one family are two processes. One of each, as `localhost` has, are two ways to the same one: then
    the URL stays as it is. So it does with TLS: the certificate is for the name.

    Raises:
        OSError: the name is not known, or nobody can be asked.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname is None or is_address(parts.hostname):
        return [url]
    port = parts.port or 80
    found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    by_family = {family: {str(each[4][0]) for each in found if each[0] == family} for family in _FAMILIES}
    family, most = max(by_family.items(), key=lambda each: len(each[1]))
    if len(most) == 1 and all(by_family.values()):
        return [url]
    return sorted(f"http://{_FAMILIES[family].format(address)}:{port}{parts.path}" for address in most)


def host_of(url: str) -> str:
    """The `Host` that a request to this URL names."""
    return urlsplit(url).netloc.rpartition("@")[2]
