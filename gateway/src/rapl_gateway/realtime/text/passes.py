"""When an open turn is transcribed again: the limit of passes, and what is new in its audio."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from rapl_protocol.audio import BYTES_PER_SECOND

from rapl_gateway.backends.scheduler import Scheduler

MIN_INTERVAL_S = 0.4
"""Fewest seconds between the beginnings of two passes over a turn. More passes would not settle more words."""
_SHARE_OF_TIME = 1.2
"""The passes over all open turns may take one of this many seconds of an engine. Clips and final passes need the
rest; they overtake passes, so they need little."""
_FRAME_BYTES = BYTES_PER_SECOND // 20
_SAMPLE_STEP = 16
"""Loudness is measured on one sample in 16."""
_ABOVE_FLOOR = 2.5
"""Audio is quiet up to this many times the level of the quietest moment of the turn. Soft words are louder than that,
or drown in the noise."""
_BELOW_LOUD = 6
"""Audio is not quiet above a sixth of the level of loud moments."""
_NOTHING = 500
"""Level of a frame that is quiet in any case: ten steps of 16 bits for each sample that is measured."""


class PassLimiter:
    """Limits the passes over the open turns of one backend. Turns get a pass in the order in which they ask.

    Args:
        scheduler: the backend's queue.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._running = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.active: set[object] = set()
        """The turns that have sound which no pass has yet. A turn without new sound takes no time from others."""

    def interval_s(self, audio_s: float) -> float:
        """Returns how many seconds of audio a turn waits between two passes over `audio_s` seconds of audio."""
        pass_s = self._scheduler.time_s(audio_s) or 0.0
        return max(MIN_INTERVAL_S, _SHARE_OF_TIME * pass_s * len(self.active))

    @property
    def is_free(self) -> bool:
        """Whether no pass runs or waits."""
        return not self._running and not self._waiting

    @asynccontextmanager
    async def one_pass(self) -> AsyncGenerator[None]:
        """A context in which a pass may be sent to the engine. There are as many at once as the engine has slots, so
        that a clip never waits for more than one pass."""
        while self._running >= max(1, self._scheduler.slots()):
            self._waiting.append(free := asyncio.get_running_loop().create_future())
            try:
                await free
            except asyncio.CancelledError:
                self._wake_next()  # it may have been woken in the same turn of the event loop
                raise
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            self._wake_next()

    def _wake_next(self) -> None:
        while self._waiting:
            if not (free := self._waiting.popleft()).done():
                free.set_result(None)
                return


class OpenAudio:
    """The audio of an open turn so far, and where its last sound ends. Speech detection is too slow for this: it says
    only after half a second of silence that the speech has ended."""

    def __init__(self) -> None:
        self.pcm = bytearray()
        self.sound_end = 0
        """The byte at which the last sound ends. The audio after it is quiet."""
        self._measured = 0
        self._before = 0
        self._loud = 0
        self._floor: int | None = None

    @property
    def duration_s(self) -> float:
        return len(self.pcm) / BYTES_PER_SECOND

    @property
    def quiet_s(self) -> float:
        """Seconds of quiet audio at the end."""
        return max(0, self._measured - self.sound_end) / BYTES_PER_SECOND

    def take(self, size: int) -> bytes:
        """Removes the first bytes and returns them."""
        taken = bytes(self.pcm[:size])
        del self.pcm[:size]
        self.sound_end = max(0, self.sound_end - size)
        self._measured = max(0, self._measured - size)
        return taken

    def append(self, pcm: bytes) -> None:
        """Adds 16 kHz mono s16le samples."""
        self.pcm += pcm
        while len(self.pcm) - self._measured >= _FRAME_BYTES:
            frame = bytes(self.pcm[self._measured : self._measured + _FRAME_BYTES])
            self._measured += _FRAME_BYTES
            samples = memoryview(frame).cast("h")[::_SAMPLE_STEP]  # all supported platforms are little-endian
            if not self._is_quiet(sum(map(abs, samples))):
                self.sound_end = self._measured

    def _is_quiet(self, level: int) -> bool:
        """Two frames in a row set the levels, so that a click is not a loud moment."""
        self._loud = max(self._loud, min(level, self._before))
        if self._measured > _FRAME_BYTES:
            quietest = max(level, self._before)
            self._floor = quietest if self._floor is None else min(self._floor, quietest)
        self._before = level
        floor = 0.0 if self._floor is None else _ABOVE_FLOOR * self._floor
        return level <= _NOTHING or (level <= floor and level * _BELOW_LOUD <= self._loud)
