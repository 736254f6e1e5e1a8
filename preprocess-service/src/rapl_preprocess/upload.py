"""Receives media: bounded while they arrive, in memory when small, else in an anonymous temporary file."""

import asyncio
import mmap
import tempfile
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from typing import IO

from rapl_protocol.errors import ErrorCode, ServiceError
from starlette.requests import ClientDisconnect, Request

IN_MEMORY_BYTES = 2 << 20
"""A minute of most compressed formats; what is larger goes to disk, for mp4 must be read back and forth."""
_WRITE_BYTES = 1 << 20


async def receive_media(request: Request, max_bytes: int, writer: Executor) -> memoryview:
    """Reads a body of at most `max_bytes`; it lives as long as the memoryview does.

    Args:
        writer: where files are written, for the event loop must not.

    Raises:
        ServiceError: AUDIO_TOO_LARGE, once the rest has been read and thrown away: a client that is still sending
            would not see the answer. INVALID_REQUEST where the sender went away.
    """
    loop = asyncio.get_running_loop()
    spool = _Spool()
    try:
        async for piece in _bounded(request, max_bytes):
            spool.pending += piece
            if len(spool.pending) > spool.room_bytes:
                await loop.run_in_executor(writer, spool.write)
        if spool.is_in_memory:
            return memoryview(spool.pending)
        return await loop.run_in_executor(writer, spool.mapped)
    except ClientDisconnect:
        raise ServiceError(ErrorCode.INVALID_REQUEST, "The upload broke off.") from None
    finally:
        spool.close()


async def _bounded(request: Request, max_bytes: int) -> AsyncIterator[bytes]:
    received = 0
    async for piece in request.stream():
        received += len(piece)
        if received <= max_bytes:
            yield piece
        elif received > 2 * max_bytes:  # enough politeness: whoever still sends will find the connection closed
            break
    if received > max_bytes:
        message = f"The file is larger than {max_bytes} bytes, which is the limit of this server."
        raise ServiceError(ErrorCode.AUDIO_TOO_LARGE, message, param="file")


class _Spool:
    """What has arrived: `pending` in memory, and whatever was written before it in a file without a name."""

    def __init__(self) -> None:
        self.pending = bytearray()
        self._file: IO[bytes] | None = None

    @property
    def is_in_memory(self) -> bool:
        return self._file is None

    @property
    def room_bytes(self) -> int:
        """How much may be pending."""
        return IN_MEMORY_BYTES if self.is_in_memory else _WRITE_BYTES

    def write(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        pending, self.pending = self.pending, bytearray()
        self._file.write(pending)

    def mapped(self) -> memoryview:
        """All of it; a mapping keeps the file when it is closed, and costs no memory that is not given back."""
        self.write()
        assert self._file is not None
        self._file.flush()
        return memoryview(mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
