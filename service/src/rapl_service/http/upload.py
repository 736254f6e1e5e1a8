"""A file that arrives in pieces. A small one stays in memory; a large one goes to an anonymous temporary file."""

import mmap
from tempfile import TemporaryFile
from typing import IO, Self

from starlette.concurrency import run_in_threadpool

_WRITE_BYTES = 1 << 20


class Upload:
    """An uploaded file. As a context manager it closes the temporary file, if there is one.

    The receiver calls `add` and `spool` for each piece, and `end` after the last one.

    Args:
        in_memory_bytes: a file of up to this size stays in memory, in the pieces that were added.
    """

    def __init__(self, in_memory_bytes: int) -> None:
        self.size_bytes = 0
        self.file: IO[bytes] | None = None
        """The temporary file, which is complete after `end`; None if the upload is in memory."""
        self._in_memory_bytes = in_memory_bytes
        self._pieces: list[bytes] = []
        self._pieces_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._pieces_bytes += len(piece)
        self.size_bytes += len(piece)

    async def spool(self) -> None:
        """Writes the pieces to the temporary file if they are larger than may be kept in memory."""
        if self._pieces_bytes > (_WRITE_BYTES if self.file else self._in_memory_bytes):
            await run_in_threadpool(self._write)

    async def end(self) -> None:
        """Writes the last pieces, if there is a temporary file."""
        if self.file:
            await run_in_threadpool(self._write)

    def content(self) -> bytes | memoryview:
        """The whole file; call it after `end`. A temporary file is mapped, so that its size costs no memory."""
        if self.file:
            return memoryview(mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_READ))
        if len(self._pieces) != 1:
            self._pieces = [b"".join(self._pieces)]
        return self._pieces[0]

    def close(self) -> None:
        if self.file:
            self.file.close()

    def _write(self) -> None:
        if self.file is None:
            self.file = TemporaryFile()  # noqa: SIM115 - it stays open until close()
        self.file.writelines(self._pieces)
        self.file.flush()
        self._pieces, self._pieces_bytes = [], 0
