"""Turning newcomers away at a listening socket, without cutting off those who have come already.

A socket that is closed resets every connection that waits in its queue: those clients were connected, and may have sent
a whole request. So first nobody new gets in, then the queue is emptied, and then the socket is closed.
"""

import ctypes
import socket
import struct
import sys
from typing import Protocol

_SO_ATTACH_FILTER = 26
_FLAGS_OFFSET = 13
_ACK_OR_RST = 0x14
_ONLY_THOSE_WHO_ARE_IN = (
    (0x30, 0, 0, _FLAGS_OFFSET),  # load the byte of the TCP header that has its flags
    (0x45, 0, 1, _ACK_OR_RST),  # every packet but the first of a connection has one of these
    (0x06, 0, 0, 0xFFFFFFFF),  # take it
    (0x06, 0, 0, 0),  # drop it
)
"""Classic BPF as (code, jump if true, jump if false, operand); a socket's filter sees a packet from its TCP header on.

Source: https://www.kernel.org/doc/html/latest/networking/filter.html
"""


class Listener(Protocol):
    """What asyncio and uvloop give of a listening socket."""

    @property
    def family(self) -> int: ...
    def setsockopt(self, level: int, option: int, value: bytes, /) -> None: ...


def stop_accepting(listener: Listener) -> None:
    """From now on whoever wants to connect gets no answer, tries again after a second, and finds the socket closed, or
    its successor. Nothing happens where the system is not Linux.

    Raises:
        OSError: the system does not let this process do so, as some do not let one without rights.
    """
    if sys.platform != "linux" or listener.family not in (socket.AF_INET, socket.AF_INET6):
        return
    program = b"".join(struct.pack("HBBI", *step) for step in _ONLY_THOSE_WHO_ARE_IN)
    kept = ctypes.create_string_buffer(program)
    address = struct.pack("HP", len(_ONLY_THOSE_WHO_ARE_IN), ctypes.addressof(kept))
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, address)
