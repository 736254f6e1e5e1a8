"""The addresses of a service's name, in random order.

An orchestrator gives all replicas of a service one name, and the C library sorts the addresses. Without the random
order one replica would get all connections.
"""

import asyncio
import random
import socket
from contextlib import suppress
from ipaddress import ip_address


async def addresses_in_random_order(host: str, port: int) -> list[tuple[str, int]]:
    """Returns the addresses of a name; an address is returned as it is, without a thread that looks it up.

    Raises:
        OSError: the name cannot be resolved.
    """
    with suppress(ValueError):
        return [(str(ip_address(host)), port)]
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(str(address), int(port)) for *_, (address, port, *_) in random.sample(found, len(found))]
