"""The thread that runs a model, one request or batch at a time, and the thread that prepares the next request."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Generic, TypeVar

from rapl_service.fair_queue import BoundedQueue

T = TypeVar("T")
Item = TypeVar("Item")

CLOSE_WITHIN_S = 10.0

log = logging.getLogger("rapl")


@dataclass(frozen=True, slots=True)
class BatchKind(Generic[Item, T]):
    """Which requests may be computed in one batch, and how."""

    compute: Callable[[Sequence[Item]], Sequence[T]]
    """Returns one result per item, in the same order."""
    key: Hashable
    """Equal for requests that may share a batch."""
    max_size: int
    """Most requests in one batch."""


@dataclass(eq=False, slots=True)
class _Job:
    kind: BatchKind[Any, Any]
    item: Any = None
    is_long: bool = False
    future: Future[Any] = field(default_factory=Future[Any])


class InferenceWorker:
    """A thread behind a bounded queue. The model is called on this thread only.

    Short requests go before the segments of long ones (`FairQueue`). When a request's turn comes, waiting requests
    of the same kind and length are computed in the same batch; no request waits for a batch to fill. Maintenance jobs,
    such as loading and unloading, run when no request waits.

    A request counts against the limit until its work ends, because the thread continues after the caller was cancelled.
    A request that is cancelled before its work began is never run and stops counting at once.

    Args:
        name: the name of the thread.
        max_jobs: most requests at once, including those that are being computed.
    """

    def __init__(self, name: str, max_jobs: int) -> None:
        self._changed = threading.Condition()
        self._requests: BoundedQueue[_Job] = BoundedQueue(max_jobs)
        self._maintenance: deque[_Job] = deque()
        self._is_closing = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._preparation = ThreadPoolExecutor(1, f"{name} preparation")

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Cancels the jobs that wait, and waits up to CLOSE_WITHIN_S for the one that runs."""
        with self._changed:
            self._is_closing = True
            waiting = [*self._requests, *self._maintenance]
            self._changed.notify()
        for job in waiting:
            job.future.cancel()
        self._preparation.shutdown(wait=False, cancel_futures=True)
        if self._thread.is_alive():
            self._thread.join(CLOSE_WITHIN_S)

    def prepare(self, job: Callable[[], T]) -> Future[T]:
        """Runs a job that needs no model, such as computing features, on the second thread, while the model works on
        another request."""
        return self._preparation.submit(job)

    async def run(self, job: Callable[[], T], *, is_long: bool = False) -> T:
        """Runs a request's job when its turn comes.

        Args:
            is_long: whether it is a segment of long audio.

        Raises:
            ServiceError: OVERLOADED, at once, if the queue is full.
        """
        return await self.run_batched(None, _alone(job), is_long=is_long)

    async def run_batched(self, item: Item, kind: BatchKind[Item, T], *, is_long: bool = False) -> T:
        """Same as `run`, for an item that may share a batch. If a batch fails, its items are computed one by one."""
        job = _Job(kind, item, is_long)
        with self._changed:
            self._requests.add(job, is_long=is_long)
            self._changed.notify()
        try:
            return await asyncio.wrap_future(job.future)
        except asyncio.CancelledError:
            with self._changed:
                self._requests.remove(job)
            raise

    async def run_maintenance(self, job: Callable[[], T]) -> T:
        """Runs a job when no request waits. The job is never refused and does not count against the limit."""
        maintenance = _Job(_alone(job))
        with self._changed:
            self._maintenance.append(maintenance)
            self._changed.notify()
        return await asyncio.wrap_future(maintenance.future)

    def _work(self) -> None:
        while jobs := self._take():
            self._compute(jobs)
            jobs.clear()  # otherwise their audio stays in memory until the next request

    def _take(self) -> list[_Job]:
        """Waits for the next job and returns it with its batch; returns an empty list when the worker closes."""
        with self._changed:
            while not self._is_closing:
                if self._requests:
                    jobs = _still_wanted(self._take_batch())
                    self._requests.in_work = len(jobs)
                elif self._maintenance:
                    jobs = _still_wanted([self._maintenance.popleft()])
                else:
                    self._changed.wait()
                    continue
                if jobs:
                    return jobs
            return []

    def _take_batch(self) -> list[_Job]:
        if (first := self._requests.take()) is None:
            return []
        alike = (job for job in self._requests if (job.is_long, job.kind.key) == (first.is_long, first.kind.key))
        others = list(islice(alike, first.kind.max_size - 1))
        for job in others:
            self._requests.take_early(job)
        return [first, *others]

    def _compute(self, jobs: Sequence[_Job]) -> None:
        began = time.perf_counter()
        try:
            results = jobs[0].kind.compute([job.item for job in jobs])
        except BaseException as error:
            if len(jobs) == 1:
                self._end(jobs, time.perf_counter() - began)
                jobs[0].future.set_exception(error)
                return
            log.warning("a batch of %d requests failed; they are computed one by one", len(jobs), exc_info=True)
            for job in jobs:
                self._compute([job])
            return
        self._end(jobs, time.perf_counter() - began)
        for job, result in zip(jobs, results, strict=True):
            job.future.set_result(result)

    def _end(self, jobs: Sequence[_Job], took_s: float) -> None:
        with self._changed:
            if self._requests.in_work:  # it is 0 during maintenance
                self._requests.in_work -= len(jobs)
                self._requests.request_s = took_s / len(jobs)


def _alone(job: Callable[[], T]) -> BatchKind[None, T]:
    return BatchKind(lambda _: [job()], key=object(), max_size=1)


def _still_wanted(jobs: Sequence[_Job]) -> list[_Job]:
    """The jobs that were not cancelled. After this call they cannot be cancelled."""
    return [job for job in jobs if job.future.set_running_or_notify_cancel()]
