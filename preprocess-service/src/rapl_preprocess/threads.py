"""Runs a generator in threads, so that its computation does not block the event loop."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import Executor
from typing import TypeVar

T = TypeVar("T")


async def iterate_in_threads(items: Iterator[T], threads: Executor) -> AsyncGenerator[T, None]:
    """Yields the items of an iterator. While the caller uses one item, a thread computes only the next one.

    A thread is used only while it computes an item, so a slow reader does not block a thread.
    """
    step = threads.submit(next, items, None)
    try:
        while (item := await asyncio.wrap_future(step)) is not None:
            step = threads.submit(next, items, None)
            yield item
    finally:
        step.cancel()
