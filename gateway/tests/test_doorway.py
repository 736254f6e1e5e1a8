"""That much which begins at the same moment leaves turns of the event loop to others."""

import asyncio
from itertools import pairwise

from rapl_gateway.admission import StartLimiter


async def enter(doorway: StartLimiter, entered: list[int], number: int) -> None:
    await doorway.enter()
    entered.append(number)


async def test_no_more_begin_in_one_turn_of_the_event_loop_than_there_is_room_for():
    doorway, entered, after_each_turn = StartLimiter(4), [], [0]
    async with asyncio.TaskGroup() as group:
        for number in range(50):
            group.create_task(enter(doorway, entered, number))
        while after_each_turn[-1] < 50:
            await asyncio.sleep(0)
            after_each_turn.append(len(entered))

    assert max(now - before for before, now in pairwise(after_each_turn)) == 4


async def test_those_who_wait_enter_in_the_order_in_which_they_came():
    doorway, entered = StartLimiter(2), []

    await asyncio.gather(*(enter(doorway, entered, number) for number in range(9)))

    assert entered == list(range(9))


async def test_who_leaves_while_waiting_takes_nobodys_turn():
    doorway, entered = StartLimiter(1), []
    tasks = [asyncio.create_task(enter(doorway, entered, number)) for number in range(4)]
    await asyncio.sleep(0)
    tasks[1].cancel()

    await asyncio.wait(tasks)

    assert entered == [0, 2, 3]


async def test_nobody_waits_where_there_is_room():
    doorway, entered = StartLimiter(1), []
    for number in range(3):
        await asyncio.wait_for(enter(doorway, entered, number), 5)

    assert entered == [0, 1, 2]
