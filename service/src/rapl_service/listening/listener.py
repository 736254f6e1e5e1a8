"""Closes listening sockets without resetting the connections in their backlog.

When a listening socket is closed, the kernel resets the connections that were not accepted yet. Their clients may
already have sent whole requests.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable, Iterable

_TLS_HANDSHAKE_S = 5.0


async def close_after_backlog(
    servers: Iterable[asyncio.Server],
    make_protocol: Callable[[], asyncio.Protocol],
    tls: ssl.SSLContext | None = None,
) -> None:
    """Accepts the connections that wait in the servers' backlogs, and closes the servers.

    Connections that are made meanwhile are accepted too. Later ones are refused. A connection is reset only if its
    handshake ends in the microseconds between the last `accept`, when the backlog is empty, and `close`.

    Args:
        servers: servers of the running event loop.
        make_protocol: the function that was passed to `create_server`; creates the protocol of a connection.
        tls: the TLS context that was passed to `create_server`.
    """
    accepted: list[socket.socket] = []
    for server in servers:
        # The copies keep the sockets open when the server is closed, so that `close` follows `accept` directly.
        listeners = [socket.socket(fileno=os.dup(each.fileno())) for each in server.sockets]
        server.close()
        await asyncio.sleep(0)  # uvloop closes its own descriptor in the next turn of the event loop
        for listener in listeners:
            accepted += _accept_all_and_close(listener)
    loop = asyncio.get_running_loop()
    timeout_s = _TLS_HANDSHAKE_S if tls else None
    connecting = [
        loop.connect_accepted_socket(make_protocol, each, ssl=tls, ssl_handshake_timeout=timeout_s) for each in accepted
    ]
    await asyncio.gather(*connecting, return_exceptions=True)  # a failed TLS handshake affects only its client


def _accept_all_and_close(listener: socket.socket) -> list[socket.socket]:
    accepted: list[socket.socket] = []
    listener.setblocking(False)
    with listener:
        while True:
            try:
                accepted.append(listener.accept()[0])
            except ConnectionAbortedError:  # the client has disconnected
                continue
            except OSError:  # the backlog is empty, or too many files are open
                return accepted
