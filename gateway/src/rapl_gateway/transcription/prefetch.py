"""Works ahead of what is told: while one segment's text goes out, the next ones are at their engine already."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from rapl_protocol.prepared import PreparedEvent, PrepareEnd, SourceInfo, SpeechSegment

from rapl_gateway.transcription.segment_task import SegmentTask

Event = SourceInfo | SegmentTask | PrepareEnd


class SegmentPrefetcher:
    """Takes the events of a preparation as they come, and gives them back in order, each segment as a `SegmentTask`.

    Args:
        events: of the preparation; it is asked for no more of them while `width` segments are held.
        hear: begins a segment.
        width: how many segments are held, at work or waiting to be told; at least two.
    """

    def __init__(
        self, events: AsyncGenerator[PreparedEvent, None], hear: Callable[[SpeechSegment], SegmentTask], width: int
    ) -> None:
        self._events = events
        self._hear = hear
        self._places = asyncio.Semaphore(width)
        self._ready: asyncio.Queue[Event | None] = asyncio.Queue()
        self._put_back: list[Event | None] = []
        self._held: list[SegmentTask] = []
        self._task = asyncio.create_task(self._work())
        self._task.add_done_callback(lambda _: self._ready.put_nowait(None))

    async def _work(self) -> None:
        async with aclosing(self._events) as events:
            await self._places.acquire()
            async for event in events:
                if isinstance(event, SpeechSegment):
                    self._held.append(self._hear(event))
                    self._ready.put_nowait(self._held[-1])
                    await self._places.acquire()
                else:
                    self._ready.put_nowait(event)

    async def next(self) -> Event | None:
        """The next event, or None at the end.

        Raises:
            ServiceError: what ended the preparation, after all that came before.
        """
        event = self._put_back.pop() if self._put_back else await self._ready.get()
        if event is None:
            self._task.result()
        elif isinstance(event, SegmentTask) and event.segment.speech_s is None:
            # A clip goes to its engine before all of it has been judged; the judgement follows within milliseconds.
            self._put_back.append(following := await self._ready.get())
            if isinstance(following, PrepareEnd):
                event.judge(following.speech_s)
        return event

    async def done(self, hearing: SegmentTask) -> None:
        """Makes room for another segment."""
        self._held.remove(hearing)
        await hearing.close()
        self._places.release()

    async def close(self) -> None:
        """Withdraws what is under way."""
        self._task.cancel()
        await asyncio.wait({self._task})
        for hearing in self._held:
            await hearing.close()
