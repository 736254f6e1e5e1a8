"""Receives media: bounded while they arrive, in memory when small, else in an anonymous temporary file."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from typing import IO, Self

from rapl_protocol.errors import ErrorCode, ServiceError
from starlette.requests import ClientDisconnect, Request

IN_MEMORY_BYTES = 2 << 20
"""A minute of most compressed formats; what is larger goes to disk, for mp4 must be read back and forth."""
_WRITE_BYTES = 1 << 20


class Upload:
    """A file that somebody sent; a context that ends it."""

    def __init__(self) -> None:
        self.content = bytearray()
        """All of it, unless there is a file."""
        self.file: IO[bytes] | None = None
        """All of it, without a name."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def size(self) -> int:
        return self.file.tell() if self.file else len(self.content)

    @property
    def room_bytes(self) -> int:
        """How much may be in memory."""
        return _WRITE_BYTES if self.file else IN_MEMORY_BYTES

    def write(self) -> None:
        if self.file is None:
            self.file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by `close`
        content, self.content = self.content, bytearray()
        unwritten = memoryview(content)
        while unwritten:
            unwritten = unwritten[self.file.write(unwritten) :]

    def close(self) -> None:
        if self.file is not None:
            self.file.close()


async def receive_media(request: Request, max_bytes: int, writer: Executor) -> Upload:
    """Reads a body of at most `max_bytes`.

    Args:
        writer: where files are written, for the event loop must not.

    Raises:
        ServiceError: AUDIO_TOO_LARGE, once the rest has been read and thrown away: a client that is still sending
            would not see the answer. INVALID_REQUEST where the sender went away.
    """
    loop = asyncio.get_running_loop()
    upload = Upload()
    try:
        async for piece in _bounded(request, max_bytes):
            upload.content += piece
            if len(upload.content) > upload.room_bytes:
                await loop.run_in_executor(writer, upload.write)
        if upload.file:
            await loop.run_in_executor(writer, upload.write)
    except BaseException as error:
        upload.close()
        if isinstance(error, ClientDisconnect):
            raise ServiceError(ErrorCode.INVALID_REQUEST, "The upload broke off.") from None
        raise
    return upload


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
