"""Closes listening sockets without resetting the connections in their backlog.

When a listening socket is closed, the kernel resets the connections that were not accepted yet. Their clients may
already have sent whole requests.
"""

import asyncio
import ctypes
import os
import socket
import ssl
import struct
import sys
from collections.abc import Callable, Iterable

_TLS_HANDSHAKE_S = 5.0
_TCP_HANDSHAKE_S = 0.02
"""A handshake that has begun ends in this time on a local network."""

_SO_ATTACH_FILTER = 26
"""Source: include/uapi/asm-generic/socket.h of Linux. Python has no name for it."""
_DROP_SYN = b"".join(
    struct.pack("=HBBI", *instruction)
    for instruction in [
        (0x30, 0, 0, 13),  # the byte of a TCP header that has its flags
        (0x45, 0, 1, 0x02),  # if it has SYN, the next instruction, else the one after it
        (0x06, 0, 0, 0),  # drop the packet
        (0x06, 0, 0, 0xFFFF),  # accept it
    ]
)
"""A program for the kernel's packet filter. Source: Documentation/networking/filter.rst of Linux."""


async def close_after_backlog(
    servers: Iterable[asyncio.Server],
    make_protocol: Callable[[], asyncio.Protocol],
    tls: ssl.SSLContext | None = None,
) -> None:
    """Accepts the connections that wait in the servers' backlogs, and closes the servers.

    Connections that are made meanwhile are accepted too. Later ones are refused. On Linux, handshakes that begin in the
    last 20 ms wait until their client repeats its packet, and are then refused or go to the next process of the port.
    Elsewhere, a connection is reset whose handshake ends in the microseconds between the last `accept` and `close`.

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
        begins_none = [_begin_no_handshake(listener) for listener in listeners]
        # At least one turn of the event loop, because uvloop closes its own descriptor in the next one.
        await asyncio.sleep(_TCP_HANDSHAKE_S if any(begins_none) else 0)
        for listener in listeners:
            accepted += _accept_all_and_close(listener)
    loop = asyncio.get_running_loop()
    timeout_s = _TLS_HANDSHAKE_S if tls else None
    connecting = [
        loop.connect_accepted_socket(make_protocol, each, ssl=tls, ssl_handshake_timeout=timeout_s) for each in accepted
    ]
    await asyncio.gather(*connecting, return_exceptions=True)  # a failed TLS handshake affects only its client


def _begin_no_handshake(listener: socket.socket) -> bool:
    """Makes the kernel drop the first packet of every new connection. Returns whether this system can do so.

    Accepted connections inherit the filter, which changes nothing for them: their handshake is over.
    """
    if sys.platform != "linux":
        return False
    program = ctypes.create_string_buffer(_DROP_SYN, len(_DROP_SYN))
    instructions = len(_DROP_SYN) // 8
    try:
        listener.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", instructions, ctypes.addressof(program))
        )
    except OSError:  # a sandbox, or another kernel that calls itself Linux
        return False
    return True


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
