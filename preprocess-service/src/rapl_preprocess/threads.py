"""The one owner of the threads that decode, and the bridge between them and the event loop."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Event
from typing import Self, TypeVar

T = TypeVar("T")


class DecodeThreads:
    """Steps generators on a few threads of its own; whoever creates it closes it.

    A thread belongs to a file only for one step, the making of one item, and not while the network takes what was
    made: a slow reader holds no thread, and a short clip waits for one step of a long file and not for its end.
    PyAV gives up the interpreter's lock while FFmpeg's libraries work, so the threads run at the same time.

    Args:
        count: how many steps run at the same time.
    """

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="decode")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    async def items(self, make: Callable[[Callable[[], bool]], Generator[T, None, None]]) -> AsyncGenerator[T, None]:
        """Yields what a generator yields; the next item is in the making while the last is being used, and no more.

        Closing this ends the work too: a step that runs is told so through `is_stopped`, and no other begins.

        Args:
            make: gives the generator; it is called with `is_stopped`, which is to be asked in long steps.
        """
        stopped = Event()
        generator = make(stopped.is_set)
        step = self._pool.submit(next, generator, None)
        try:
            while (item := await asyncio.wrap_future(step)) is not None:
                step = self._pool.submit(next, generator, None)
                yield item
        finally:
            stopped.set()
            step.cancel()
            self._pool.submit(_close, generator, step)


def _close(generator: Generator[T, None, None], step: "Future[T | None]") -> None:
    wait([step])  # a generator that runs cannot be closed
    generator.close()
