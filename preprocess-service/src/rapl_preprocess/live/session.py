"""A session between its WebSocket and the detection: what waits on both sides, with limits."""

import asyncio
from collections import deque
from collections.abc import Iterable

from rapl_protocol.live_audio import LiveControl

from rapl_preprocess.live.stream import LiveStream, Output

MAX_WAITING_BYTES = 1 << 18
"""Audio that may wait for the detection. If there is more, no further message is read."""
MAX_UNSENT_BYTES = 1 << 18
"""Output that may wait for a slow reader. If there is more, the session's audio is not processed."""
_EVENT_BYTES = 128
"""What an output other than audio counts as."""


class LiveSession:
    """The audio that waits for the next step, and the output that waits to be sent. It belongs to the event loop."""

    def __init__(self, stream: LiveStream) -> None:
        self.stream = stream
        self.has_failed = False
        """Whether a step has failed, so that the session must end."""
        self._inbox: deque[bytes | LiveControl] = deque()
        self._waiting_bytes = 0
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._outbox: deque[Output] = deque()
        self._unsent_bytes = 0
        self._has_output = asyncio.Event()

    @property
    def waiting_bytes(self) -> int:
        """Bytes of audio that wait for the next step."""
        return self._waiting_bytes

    @property
    def is_ready(self) -> bool:
        """Whether there is something to do, and room for its output."""
        return bool(self._inbox) and self._unsent_bytes < MAX_UNSENT_BYTES

    @property
    def is_urgent(self) -> bool:
        """Whether the next step should not wait for more audio: there is a quarter of a second of it, or a control."""
        return not isinstance(self._inbox[0], bytes) or self._waiting_bytes * 4 >= self.stream.bytes_per_second

    async def put(self, message: bytes | LiveControl) -> None:
        """Adds a message of the client. Waits while too much audio is waiting already."""
        await self._has_room.wait()
        self._inbox.append(message)
        self._count_waiting(_size(message))

    def take(self) -> bytes | LiveControl:
        """The input of the next step: up to a second of audio, or one control message."""
        if not isinstance(self._inbox[0], bytes):
            message = self._inbox.popleft()
            self._count_waiting(-_size(message))
            return message
        limit, pieces = self.stream.bytes_per_second, list[bytes]()
        while limit > 0 and self._inbox and isinstance(piece := self._inbox[0], bytes):
            self._inbox.popleft()
            if piece[limit:]:
                self._inbox.appendleft(piece[limit:])
            pieces.append(piece[:limit])
            limit -= len(piece)
        audio = b"".join(pieces)
        self._count_waiting(-len(audio))
        return audio

    def deliver(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            self._outbox.append(output)
            self._unsent_bytes += _size(output)
        self._has_output.set()

    def fail(self) -> None:
        self.has_failed = True
        self._has_output.set()

    async def next_output(self) -> Output | None:
        """The next output to send; None if the session has failed."""
        while not self._outbox:
            if self.has_failed:
                return None
            self._has_output.clear()
            await self._has_output.wait()
        output = self._outbox.popleft()
        self._unsent_bytes -= _size(output)
        return output

    def _count_waiting(self, size: int) -> None:
        self._waiting_bytes += size
        if self._waiting_bytes < MAX_WAITING_BYTES:
            self._has_room.set()
        else:
            self._has_room.clear()


def _size(message: Output | LiveControl) -> int:
    return len(message) if isinstance(message, bytes) else _EVENT_BYTES
