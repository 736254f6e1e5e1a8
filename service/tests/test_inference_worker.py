import asyncio
import threading
from collections.abc import Hashable, Iterator, Sequence

import pytest
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_service.inference_worker import BatchKind, InferenceWorker


@pytest.fixture
def worker() -> Iterator[InferenceWorker]:
    worker = InferenceWorker("test worker", max_jobs=2)
    worker.start()
    yield worker
    worker.close()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Jobs that wait for it go on when it is set, at the latest when the test ends."""
    gate = threading.Event()
    yield gate
    gate.set()


async def test_jobs_run_one_after_another_on_the_worker_thread(worker: InferenceWorker):
    names = []
    for _ in range(3):
        await worker.run(lambda: names.append(threading.current_thread().name))

    assert names == ["test worker"] * 3


async def test_one_job_more_than_may_wait_is_refused_at_once_with_a_time_to_retry(
    worker: InferenceWorker, gate: threading.Event
):
    held = [asyncio.create_task(worker.run(gate.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(ServiceError) as caught:
        await worker.run(gate.wait)

    assert caught.value.code is ErrorCode.OVERLOADED
    assert caught.value.retry_after_s is not None
    gate.set()
    assert await asyncio.gather(*held) == [True, True]
    assert await worker.run(lambda: "there is room again") == "there is room again"


async def test_short_requests_pass_the_pieces_of_long_ones(gate: threading.Event):
    worker = InferenceWorker("test worker", max_jobs=9)
    worker.start()
    order: list[str] = []
    jobs = [asyncio.create_task(worker.run(gate.wait))]
    for name, is_long in (("long 1", True), ("long 2", True), ("short", False)):
        jobs.append(asyncio.create_task(worker.run(lambda name=name: order.append(name), is_long=is_long)))
    jobs.append(asyncio.create_task(worker.run_maintenance(lambda: order.append("maintenance"))))
    await asyncio.sleep(0.05)
    gate.set()
    await asyncio.gather(*jobs)
    worker.close()

    assert order == ["short", "long 1", "long 2", "maintenance"]


async def test_a_job_whose_caller_is_cancelled_before_it_began_is_not_run_and_gives_its_place_back(
    worker: InferenceWorker, gate: threading.Event
):
    ran = []
    first = asyncio.create_task(worker.run(gate.wait))
    second = asyncio.create_task(worker.run(lambda: ran.append("second")))
    await asyncio.sleep(0.05)
    second.cancel()
    await asyncio.wait([second])
    third = asyncio.create_task(worker.run(lambda: ran.append("third")))
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(first, third)

    assert ran == ["third"]


async def test_a_job_in_work_keeps_its_place_when_its_caller_is_cancelled(
    worker: InferenceWorker, gate: threading.Event
):
    began = threading.Event()
    first = asyncio.create_task(worker.run(lambda: began.set() or gate.wait()))
    second = asyncio.create_task(worker.run(gate.wait))
    await asyncio.to_thread(began.wait)
    first.cancel()
    await asyncio.wait([first])
    with pytest.raises(ServiceError):
        await worker.run(gate.wait)

    gate.set()
    await second


async def test_the_work_of_the_house_is_done_even_when_requests_fill_the_queue(
    worker: InferenceWorker, gate: threading.Event
):
    held = [asyncio.create_task(worker.run(gate.wait)) for _ in range(2)]
    maintenance = asyncio.create_task(worker.run_maintenance(lambda: "loaded"))
    await asyncio.sleep(0)
    gate.set()

    assert await maintenance == "loaded"
    await asyncio.gather(*held)


async def test_a_failure_reaches_the_caller_and_the_worker_goes_on(worker: InferenceWorker):
    with pytest.raises(ZeroDivisionError):
        await worker.run(lambda: 1 // 0)

    assert await worker.run(lambda: "still here") == "still here"


class Batches:
    """A kind of request that keeps what was done together; "bad" fails, alone or not."""

    def __init__(self) -> None:
        self.done: list[list[str]] = []

    def __call__(self, items: Sequence[str]) -> list[str]:
        self.done.append(list(items))
        if "bad" in items:
            raise ZeroDivisionError
        return [item.upper() for item in items]

    def kind(self, key: Hashable = "", max_size: int = 3) -> BatchKind[str, str]:
        return BatchKind(self, key, max_size)


@pytest.fixture
def roomy() -> Iterator[InferenceWorker]:
    """With room for more requests than `worker`."""
    worker = InferenceWorker("test worker", max_jobs=9)
    worker.start()
    yield worker
    worker.close()


async def behind_a_gate(gate: threading.Event, *waiting: asyncio.Task[str]) -> list[object]:
    """What became of the requests, all of which wait until a job before them ends."""
    await asyncio.sleep(0.05)
    gate.set()
    return await asyncio.gather(*waiting, return_exceptions=True)


async def test_requests_alike_that_wait_are_done_together_and_each_gets_its_own_result(
    roomy: InferenceWorker, gate: threading.Event
):
    batches = Batches()
    held = asyncio.create_task(roomy.run(gate.wait))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(roomy.run_batched(item, batches.kind())) for item in "abc"]

    assert await behind_a_gate(gate, *waiting) == ["A", "B", "C"]
    assert batches.done == [["a", "b", "c"]]
    await held


async def test_a_lone_request_waits_for_no_other(roomy: InferenceWorker):
    assert await roomy.run_batched("a", Batches().kind()) == "A"


async def test_no_more_are_done_together_than_may_be(roomy: InferenceWorker, gate: threading.Event):
    batches = Batches()
    held = asyncio.create_task(roomy.run(gate.wait))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(roomy.run_batched(item, batches.kind(max_size=2))) for item in "abcde"]
    await behind_a_gate(gate, *waiting)

    assert batches.done == [["a", "b"], ["c", "d"], ["e"]]
    await held


async def test_what_is_not_alike_keeps_its_turn(roomy: InferenceWorker, gate: threading.Event):
    batches = Batches()
    held = asyncio.create_task(roomy.run(gate.wait))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(roomy.run_batched(item, batches.kind(key=item[0]))) for item in ("x1", "y1", "x2")]
    await behind_a_gate(gate, *waiting)

    assert batches.done == [["x1", "x2"], ["y1"]]
    await held


async def test_pieces_of_long_ones_do_not_pass_with_a_short_one_like_them(
    roomy: InferenceWorker, gate: threading.Event
):
    batches = Batches()
    held = asyncio.create_task(roomy.run(gate.wait))
    await asyncio.sleep(0)
    waiting = [
        asyncio.create_task(roomy.run_batched(item, batches.kind(), is_long=item == "long"))
        for item in ("long", "short", "other")
    ]
    await behind_a_gate(gate, *waiting)

    assert batches.done == [["short", "other"], ["long"]]
    await held


async def test_a_failure_of_one_is_nobody_elses(roomy: InferenceWorker, gate: threading.Event):
    batches = Batches()
    held = asyncio.create_task(roomy.run(gate.wait))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(roomy.run_batched(item, batches.kind())) for item in ("a", "bad", "c")]
    first, bad, last = await behind_a_gate(gate, *waiting)

    assert (first, last) == ("A", "C")
    assert isinstance(bad, ZeroDivisionError)
    await held


async def test_a_request_whose_caller_is_cancelled_is_left_out_of_what_is_done_together(
    roomy: InferenceWorker, gate: threading.Event
):
    batches = Batches()
    held = asyncio.create_task(roomy.run(gate.wait))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(roomy.run_batched(item, batches.kind())) for item in "abc"]
    await asyncio.sleep(0.05)
    waiting[1].cancel()
    await behind_a_gate(gate, *waiting)

    assert batches.done == [["a", "c"]]
    await held
