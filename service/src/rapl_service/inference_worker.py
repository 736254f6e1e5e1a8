"""The thread that does a model's work, one job after another, and the one that gets the next job ready."""

import asyncio
import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from rapl_protocol.errors import ErrorCode, ServiceError

from rapl_service.fair_queue import FairQueue

T = TypeVar("T")
Item = TypeVar("Item")

CLOSE_WITHIN_S = 10.0

log = logging.getLogger("rapl")


@dataclass(frozen=True, slots=True)
class BatchKind(Generic[Item, T]):
    """A kind of request of which several are done in one."""

    compute: Callable[[Sequence[Item]], Sequence[T]]
    """Gives a result for each item, in their order."""
    key: Hashable
    """The same for those that go together."""
    max_size: int


@dataclass(eq=False, slots=True)
class _Job:
    compute: Callable[[Sequence[Any]], Sequence[Any]]
    item: Any = None
    batch_key: Hashable = None
    """None where it is done alone."""
    max_size: int = 1
    future: Future[Any] = field(default_factory=Future)
    is_taken: bool = False


class InferenceWorker:
    """A thread with a bounded queue. Only this thread ever calls the model.

    Short requests pass the pieces of long ones (`FairQueue`). When a request's turn comes, those like it that wait in
    its lane are done with it; it never waits for one. The house's own jobs, such as unloading, come after every request
    that was taken before them.

    A job counts against the bound until its work has ended: when its caller is cancelled the thread still works. A
    job whose caller is cancelled before it began is never run, and stops counting at once.
    """

    def __init__(self, name: str, max_jobs: int) -> None:
        self._max_jobs = max_jobs
        self._jobs = 0
        self._changed = threading.Condition()
        self._requests: FairQueue[_Job] = FairQueue()
        self._by_batch_key: defaultdict[Hashable, deque[_Job]] = defaultdict(deque)
        """Requests that wait, in the order in which they came, by what they are like."""
        self._maintenance: deque[_Job] = deque()
        self._is_closing = False
        self._last_job_s = 1.0
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._preparation_thread = ThreadPoolExecutor(1, f"{name} preparation")

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Waits for the job in work, within limits; those behind it are cancelled."""
        with self._changed:
            self._is_closing = True
            waiting = [*self._requests, *self._maintenance]
            self._changed.notify()
        for job in waiting:  # outside the lock, which what follows a cancellation takes
            job.future.cancel()
        self._preparation_thread.shutdown(wait=False, cancel_futures=True)
        if self._thread.is_alive():
            self._thread.join(CLOSE_WITHIN_S)

    async def run(self, job: Callable[[], T], *, is_long: bool = False) -> T:
        """Runs a request's job in its turn; `is_long` for a piece of something long.

        Raises:
            ServiceError: OVERLOADED, at once, where as many jobs as may be are waiting.
        """
        return await self._done(_Job(lambda _: [job()]), is_long)

    async def run_batched(self, item: Item, kind: BatchKind[Item, T], *, is_long: bool = False) -> T:
        """As `run`, for an item that may be done together with others. Where that fails, each is done alone.

        Raises:
            ServiceError: as `run`.
        """
        return await self._done(_Job(kind.compute, item, (is_long, kind.key), kind.max_size), is_long)

    async def _done(self, job: _Job, is_long: bool) -> Any:
        with self._changed:
            if self._jobs >= self._max_jobs:
                raise self._overloaded()
            self._jobs += 1
            self._requests.add(job, is_long=is_long)
            if job.batch_key is not None:
                self._by_batch_key[job.batch_key].append(job)
            self._changed.notify()
        job.future.add_done_callback(self._release)
        return await asyncio.wrap_future(job.future)

    def prepare(self, job: Callable[[], T]) -> Future[T]:
        """Begins what a request's job will need and what needs no model, on a thread of its own: while the model is at
        work on one request, the next one gets ready."""
        return self._preparation_thread.submit(job)

    async def run_maintenance(self, job: Callable[[], T]) -> T:
        """Runs a job of the house, such as loading, in its turn; it takes no request's place."""
        maintenance = _Job(lambda _: [job()])
        with self._changed:
            self._maintenance.append(maintenance)
            self._changed.notify()
        return await asyncio.wrap_future(maintenance.future)

    def _release(self, _: Future[Any]) -> None:
        with self._changed:
            self._jobs -= 1

    def _overloaded(self) -> ServiceError:
        message = f"the engine already holds {self._max_jobs} requests"
        return ServiceError(ErrorCode.OVERLOADED, message, retry_after_s=self._jobs * self._last_job_s)

    def _work(self) -> None:
        while jobs := self._take():
            self._work_on([job for job in jobs if job.future.set_running_or_notify_cancel()])
            jobs.clear()  # or a request's audio would live on until the next one comes

    def _take(self) -> list[_Job]:
        """The next job with those that go with it, as soon as there is one; empty when there will be no more."""
        with self._changed:
            while not self._is_closing:
                if (request := self._requests.take()) is not None:
                    if not request.is_taken:
                        return self._with_batch(request)
                elif self._maintenance:
                    return [self._maintenance.popleft()]
                else:
                    self._changed.wait()
            return []

    def _with_batch(self, first: _Job) -> list[_Job]:
        """Those that came with it keep their places in the lanes, where they are passed over."""
        if first.batch_key is None:
            return [first]
        waiting = self._by_batch_key[first.batch_key]
        jobs = [waiting.popleft() for _ in range(min(first.max_size, len(waiting)))]
        if not waiting:
            del self._by_batch_key[first.batch_key]
        for job in jobs:
            job.is_taken = True
        return jobs

    def _work_on(self, jobs: Sequence[_Job]) -> None:
        if not jobs:
            return
        began = time.perf_counter()
        try:
            results = jobs[0].compute([job.item for job in jobs])
        except BaseException as error:
            if len(jobs) == 1:
                jobs[0].future.set_exception(error)
                return
            log.warning("%d requests could not be done together, so each is done alone", len(jobs), exc_info=True)
            for job in jobs:
                self._work_on([job])
            return
        self._last_job_s = (time.perf_counter() - began) / len(jobs)
        for job, result in zip(jobs, results, strict=True):
            job.future.set_result(result)
