"""The addresses of a service's name, in random order.

An orchestrator gives all replicas of a service one name, and the C library sorts the addresses. Without the random
order one replica would get all connections.
"""

import asyncio
import random
import socket


async def addresses_in_random_order(host: str, port: int) -> list[tuple[str, int]]:
    """Raises: OSError: the name cannot be resolved."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(str(address), int(port)) for *_, (address, port, *_) in random.sample(found, len(found))]
