"""A burst of requests is spread over turns of the event loop."""

import asyncio
from itertools import pairwise

from rapl_gateway.admission import StartLimiter


async def start(limiter: StartLimiter, started: list[int], number: int) -> None:
    await limiter.start()
    started.append(number)


async def test_at_most_so_many_requests_start_in_one_turn_of_the_event_loop():
    limiter, started, after_each_turn = StartLimiter(4), [], [0]
    async with asyncio.TaskGroup() as group:
        for number in range(50):
            group.create_task(start(limiter, started, number))
        while after_each_turn[-1] < 50:
            await asyncio.sleep(0)
            after_each_turn.append(len(started))

    assert max(now - before for before, now in pairwise(after_each_turn)) == 4


async def test_waiting_requests_start_in_order():
    limiter, started = StartLimiter(2), []

    await asyncio.gather(*(start(limiter, started, number) for number in range(9)))

    assert started == list(range(9))


async def test_a_cancelled_request_takes_no_turn():
    limiter, started = StartLimiter(1), []
    tasks = [asyncio.create_task(start(limiter, started, number)) for number in range(4)]
    await asyncio.sleep(0)
    tasks[1].cancel()

    await asyncio.wait(tasks)

    assert started == [0, 2, 3]


async def test_a_request_starts_at_once_if_there_is_room():
    limiter, started = StartLimiter(1), []
    for number in range(3):
        await asyncio.wait_for(start(limiter, started, number), 5)

    assert started == [0, 1, 2]
