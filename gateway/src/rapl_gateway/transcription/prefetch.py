"""Transcribes the next segments of a recording while the text of the current one is sent."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from rapl_protocol.prepared import PreparedEvent, PrepareEnd, SourceInfo, SpeechSegment

from rapl_gateway.transcription.segment_task import SegmentTask

Event = SourceInfo | SegmentTask | PrepareEnd


class SegmentPrefetcher:
    """Reads the events of preprocessing as they arrive and returns them in order. A segment is returned as a running
    SegmentTask.

    Args:
        events: the events of preprocess-service. Reading pauses while `width` segments are held.
        start: starts the task of a segment.
        width: most segments that are held at once, each until `done` is called for it; at least two.
    """

    def __init__(
        self, events: AsyncGenerator[PreparedEvent, None], start: Callable[[SpeechSegment], SegmentTask], width: int
    ) -> None:
        self._events = events
        self._start = start
        self._places = asyncio.Semaphore(width)
        self._ready: asyncio.Queue[Event | None] = asyncio.Queue()
        self._put_back: list[Event | None] = []
        self._held: list[SegmentTask] = []
        self._task = asyncio.create_task(self._read())
        self._task.add_done_callback(lambda _: self._ready.put_nowait(None))

    async def _read(self) -> None:
        async with aclosing(self._events) as events:
            await self._places.acquire()
            async for event in events:
                if isinstance(event, SpeechSegment):
                    self._held.append(self._start(event))
                    self._ready.put_nowait(self._held[-1])
                    await self._places.acquire()
                else:
                    self._ready.put_nowait(event)

    async def next(self) -> Event | None:
        """Returns the next event, or None at the end.

        Raises:
            ServiceError: the error that ended preprocessing, after all earlier events were returned.
        """
        event = self._put_back.pop() if self._put_back else await self._ready.get()
        if event is None:
            self._task.result()
        elif isinstance(event, SegmentTask) and event.segment.speech is None:
            # A file of one segment is sent before speech detection has ended; the result follows within milliseconds.
            self._put_back.append(following := await self._ready.get())
            if isinstance(following, PrepareEnd):
                event.set_speech(following.speech)
        return event

    async def done(self, task: SegmentTask) -> None:
        """Closes a task and makes room for another segment."""
        self._held.remove(task)
        await task.close()
        self._places.release()

    async def close(self) -> None:
        """Cancels everything that is in progress."""
        self._task.cancel()
        await asyncio.wait({self._task})
        for task in self._held:
            await task.close()
