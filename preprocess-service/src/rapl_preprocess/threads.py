"""The bridge between generators that compute and the event loop, which must not."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import Executor
from typing import TypeVar

T = TypeVar("T")


async def iterate_in_threads(items: Iterator[T], threads: Executor) -> AsyncGenerator[T, None]:
    """Yields what an iterator yields; the next item is in the making while the last is being used, and no more.

    A thread belongs to it only for one step, the making of one item: a slow reader holds no thread.
    """
    step = threads.submit(next, items, None)
    try:
        while (item := await asyncio.wrap_future(step)) is not None:
            step = threads.submit(next, items, None)
            yield item
    finally:
        step.cancel()
