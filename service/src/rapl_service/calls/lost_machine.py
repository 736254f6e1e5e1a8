"""Lets the system notice that the machine at the other end of a connection is lost.

If a process ends, its system closes its connections. If a machine loses its power or its network, nothing arrives any
more: without these options a call would wait until its deadline, and could not be sent to another machine in time. A
process that only hangs is another matter: its system still answers.
"""

import socket
from typing import Any, Protocol

QUIET_S = 5
"""Seconds without a packet after which the system asks the other one."""
_INTERVAL_S, _QUESTIONS = 2, 5
_LOST_AFTER_S = QUIET_S + _INTERVAL_S * _QUESTIONS

_OPTIONS = {
    "TCP_KEEPIDLE": QUIET_S,
    "TCP_KEEPALIVE": QUIET_S,  # its name on macOS
    "TCP_KEEPINTVL": _INTERVAL_S,
    "TCP_KEEPCNT": _QUESTIONS,
    "TCP_USER_TIMEOUT": _LOST_AFTER_S * 1000,  # for data that was sent and not acknowledged; Linux only
}


class _Socket(Protocol):
    def setsockopt(self, level: int, option: int, value: int, /) -> None: ...


def notice_lost_machine(connection: _Socket) -> None:
    """Makes the connection fail 15 s after the other machine was lost."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _OPTIONS.items():
        option = getattr(socket, name, None)
        if option is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)


def noticing_socket(address: tuple[Any, ...]) -> socket.socket:
    """Creates a socket for an address, as aiohttp's `socket_factory`."""
    family, kind, protocol, *_ = address
    created = socket.socket(family, kind, protocol)
    notice_lost_machine(created)
    return created
