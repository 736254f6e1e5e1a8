"""Joins the writes of one turn of the event loop into one packet."""

import asyncio


class GatheredWrites:
    """A transport that joins everything written in one turn of the event loop, such as a response's headers and body,
    into one packet. Each packet costs a system call and wakes the client."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self._parts: list[bytes] = []
        self._call_soon = asyncio.get_running_loop().call_soon
        self.abort = transport.abort
        self.get_extra_info = transport.get_extra_info
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading

    def write(self, part: bytes) -> None:
        if not self._parts:
            self._call_soon(self.flush)
        self._parts.append(part)

    def flush(self) -> None:
        if self._parts:
            whole, self._parts = b"".join(self._parts), []
            self.transport.write(whole)

    def close(self) -> None:
        self.flush()
        self.transport.close()
