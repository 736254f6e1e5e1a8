"""Closes listening sockets without a reset for the connections in their backlog.

The kernel resets every connection that a closed socket has not accepted, and its client may have sent a whole request.
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

    Connections that are made meanwhile are accepted too. Later ones are refused. One whose handshake ends in the
    microseconds between the last `accept`, which finds the backlog empty, and the `close` behind it is reset.

    Args:
        servers: as made by the running event loop.
        make_protocol: for an accepted connection, as given to `create_server`.
        tls: likewise.
    """
    accepted: list[socket.socket] = []
    for server in servers:
        # The copies keep the sockets open when the server is closed, so that nothing comes between accept and close.
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
    await asyncio.gather(*connecting, return_exceptions=True)  # a failed TLS handshake concerns its client alone


def _accept_all_and_close(listener: socket.socket) -> list[socket.socket]:
    accepted: list[socket.socket] = []
    listener.setblocking(False)
    with listener:
        while True:
            try:
                accepted.append(listener.accept()[0])
            except ConnectionAbortedError:  # the client has left
                continue
            except OSError:  # empty, or too many open files
                return accepted
