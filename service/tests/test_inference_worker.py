import asyncio
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import pytest
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_service.inference_worker import BatchKind, InferenceWorker


class Gate:
    """A job that runs until the gate is opened, at the latest when the test ends."""

    def __init__(self) -> None:
        self._began = threading.Event()
        self._opened = threading.Event()

    def __call__(self) -> bool:
        self._began.set()
        return self._opened.wait(60)

    def open(self) -> None:
        self._opened.set()

    async def began(self) -> None:
        assert await asyncio.to_thread(self._began.wait, 60)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


@pytest.fixture
def make_worker(gate: Gate) -> Iterator[Callable[[int], InferenceWorker]]:
    workers: list[InferenceWorker] = []

    def make(max_jobs: int) -> InferenceWorker:
        worker = InferenceWorker("test worker", max_jobs)
        worker.start()
        workers.append(worker)
        return worker

    yield make
    gate.open()
    for worker in workers:
        worker.close()


@pytest.fixture
def worker(make_worker: Callable[[int], InferenceWorker]) -> InferenceWorker:
    """With room for two requests."""
    return make_worker(2)


@pytest.fixture
def roomy(make_worker: Callable[[int], InferenceWorker]) -> InferenceWorker:
    """With room for nine requests."""
    return make_worker(9)


async def occupied(worker: InferenceWorker, gate: Gate) -> asyncio.Task[bool]:
    """A request that the worker works on until the gate is opened."""
    task = asyncio.create_task(worker.run(gate))
    await gate.began()
    return task


async def queued(*requests: Any) -> list[asyncio.Task[Any]]:
    """Tasks of the requests, which are in the queue: each adds itself as soon as it runs."""
    tasks = [asyncio.create_task(request) for request in requests]
    await asyncio.sleep(0)
    return tasks


async def test_jobs_run_one_after_another_on_the_worker_thread(worker: InferenceWorker):
    names = []
    for _ in range(3):
        await worker.run(lambda: names.append(threading.current_thread().name))

    assert names == ["test worker"] * 3


async def test_one_job_more_than_may_wait_is_refused_at_once_with_a_time_to_retry(worker: InferenceWorker, gate: Gate):
    held = await queued(worker.run(gate), worker.run(gate))
    with pytest.raises(ServiceError) as caught:
        await worker.run(gate)

    assert caught.value.code is ErrorCode.OVERLOADED
    assert caught.value.retry_after_s is not None
    gate.open()
    assert await asyncio.gather(*held) == [True, True]
    assert await worker.run(lambda: "there is room again") == "there is room again"


class Clock:
    """Stands in for the module `time` of the worker."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def perf_counter(self) -> float:
        return self.now_s

    def advance(self, duration_s: float) -> None:
        self.now_s += duration_s


async def test_the_time_to_retry_comes_from_the_measured_time_of_requests_and_not_of_maintenance(
    worker: InferenceWorker, gate: Gate, monkeypatch: pytest.MonkeyPatch
):
    clock = Clock()
    monkeypatch.setattr("rapl_service.inference_worker.time", clock)
    await worker.run(lambda: clock.advance(3.5))
    await worker.run_maintenance(lambda: clock.advance(60))
    held = await queued(worker.run(gate), worker.run(gate))
    with pytest.raises(ServiceError) as caught:
        await worker.run(gate)

    assert caught.value.retry_after_s == 2 * 3.5
    gate.open()
    await asyncio.gather(*held)


async def test_short_requests_pass_the_segments_of_long_ones(roomy: InferenceWorker, gate: Gate):
    order: list[str] = []
    held = await occupied(roomy, gate)
    requests = [("long 1", True), ("long 2", True), ("short", False)]
    jobs = await queued(
        *(roomy.run(lambda name=name: order.append(name), is_long=is_long) for name, is_long in requests),
        roomy.run_maintenance(lambda: order.append("maintenance")),
    )
    gate.open()
    await asyncio.gather(held, *jobs)

    assert order == ["short", "long 1", "long 2", "maintenance"]


async def test_a_job_whose_caller_is_cancelled_before_it_began_is_not_run_and_stops_counting(
    worker: InferenceWorker, gate: Gate
):
    ran = []
    first = await occupied(worker, gate)
    [second] = await queued(worker.run(lambda: ran.append("second")))
    second.cancel()
    await asyncio.wait([second])
    [third] = await queued(worker.run(lambda: ran.append("third")))
    gate.open()
    await asyncio.gather(first, third)

    assert ran == ["third"]


async def test_a_job_in_work_counts_on_when_its_caller_is_cancelled(worker: InferenceWorker, gate: Gate):
    first = await occupied(worker, gate)
    [second] = await queued(worker.run(gate))
    first.cancel()
    await asyncio.wait([first])
    with pytest.raises(ServiceError):
        await worker.run(gate)

    gate.open()
    await second


async def test_maintenance_is_done_even_when_requests_fill_the_queue(worker: InferenceWorker, gate: Gate):
    held = await queued(worker.run(gate), worker.run(gate))
    [maintenance] = await queued(worker.run_maintenance(lambda: "loaded"))
    gate.open()

    assert await maintenance == "loaded"
    await asyncio.gather(*held)


async def test_a_failure_reaches_the_caller_and_the_worker_goes_on(worker: InferenceWorker):
    with pytest.raises(ZeroDivisionError):
        await worker.run(lambda: 1 // 0)

    assert await worker.run(lambda: "still here") == "still here"


async def test_closing_cancels_what_waits(worker: InferenceWorker, gate: Gate):
    held = await occupied(worker, gate)
    [waiting] = await queued(worker.run(lambda: "never"))
    closing = asyncio.create_task(asyncio.to_thread(worker.close))
    await asyncio.wait([waiting])
    gate.open()
    await closing

    assert waiting.cancelled()
    assert await held


class Batches:
    """A kind of request that keeps its batches; "bad" fails, alone or not."""

    def __init__(self) -> None:
        self.done: list[list[str]] = []

    def __call__(self, items: Sequence[str]) -> list[str]:
        self.done.append(list(items))
        if "bad" in items:
            raise ZeroDivisionError
        return [item.upper() for item in items]

    def kind(self, key: Hashable = "", max_size: int = 3) -> BatchKind[str, str]:
        return BatchKind(self, key, max_size)


async def test_waiting_requests_of_one_kind_are_one_batch_and_each_gets_its_own_result(
    roomy: InferenceWorker, gate: Gate
):
    batches = Batches()
    held = await occupied(roomy, gate)
    waiting = await queued(*(roomy.run_batched(item, batches.kind()) for item in "abc"))
    gate.open()

    assert await asyncio.gather(*waiting) == ["A", "B", "C"]
    assert batches.done == [["a", "b", "c"]]
    await held


async def test_a_lone_request_waits_for_no_other(roomy: InferenceWorker):
    assert await roomy.run_batched("a", Batches().kind()) == "A"


async def test_a_batch_is_no_larger_than_it_may_be(roomy: InferenceWorker, gate: Gate):
    batches = Batches()
    held = await occupied(roomy, gate)
    waiting = await queued(*(roomy.run_batched(item, batches.kind(max_size=2)) for item in "abcde"))
    gate.open()
    await asyncio.gather(held, *waiting)

    assert batches.done == [["a", "b"], ["c", "d"], ["e"]]


async def test_requests_of_another_kind_keep_their_turn(roomy: InferenceWorker, gate: Gate):
    batches = Batches()
    held = await occupied(roomy, gate)
    waiting = await queued(*(roomy.run_batched(item, batches.kind(key=item[0])) for item in ("x1", "y1", "x2")))
    gate.open()
    await asyncio.gather(held, *waiting)

    assert batches.done == [["x1", "x2"], ["y1"]]


async def test_a_segment_of_long_audio_is_in_no_batch_of_short_requests(roomy: InferenceWorker, gate: Gate):
    batches = Batches()
    held = await occupied(roomy, gate)
    requests = ("long", "short", "other")
    waiting = await queued(*(roomy.run_batched(item, batches.kind(), is_long=item == "long") for item in requests))
    gate.open()
    await asyncio.gather(held, *waiting)

    assert batches.done == [["short", "other"], ["long"]]


async def test_a_long_request_has_its_turn_after_batches_of_short_ones(
    make_worker: Callable[[int], InferenceWorker], gate: Gate
):
    worker, batches = make_worker(99), Batches()
    held = await occupied(worker, gate)
    requests = ["long", *(f"short {number}" for number in range(20))]
    waiting = await queued(*(worker.run_batched(item, batches.kind(), is_long=item == "long") for item in requests))
    gate.open()
    await asyncio.gather(held, *waiting)

    assert batches.done.index(["long"]) == 3


async def test_a_request_that_fails_does_not_fail_the_others_of_its_batch(roomy: InferenceWorker, gate: Gate):
    batches = Batches()
    held = await occupied(roomy, gate)
    waiting = await queued(*(roomy.run_batched(item, batches.kind()) for item in ("a", "bad", "c")))
    gate.open()
    first, bad, last = await asyncio.gather(*waiting, return_exceptions=True)

    assert (first, last) == ("A", "C")
    assert isinstance(bad, ZeroDivisionError)
    await held


async def test_a_cancelled_request_is_in_no_batch(roomy: InferenceWorker, gate: Gate):
    batches = Batches()
    held = await occupied(roomy, gate)
    waiting = await queued(*(roomy.run_batched(item, batches.kind()) for item in "abc"))
    waiting[1].cancel()
    await asyncio.wait([waiting[1]])
    gate.open()
    await asyncio.gather(held, waiting[0], waiting[2])

    assert batches.done == [["a", "c"]]
