"""The thread that does a model's work, one job after another, and the one that gets the next job ready."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.lanes import Lanes

T = TypeVar("T")
_Job = tuple[Future[Any], Callable[[], Any]]

CLOSE_WITHIN_S = 10.0


class InferenceWorker:
    """A thread with a bounded queue. Only this thread ever calls the model.

    Short requests pass the pieces of long ones (`Lanes`). The house's own jobs, such as unloading, come after every
    request that was taken before them.

    A job counts against the bound until its work has ended: when its caller is cancelled the thread still works. A
    job whose caller is cancelled before it began is never run, and stops counting at once.
    """

    def __init__(self, name: str, max_jobs: int) -> None:
        self._max_jobs = max_jobs
        self._jobs = 0
        self._changed = threading.Condition()
        self._requests: Lanes[_Job] = Lanes()
        self._house: deque[_Job] = deque()
        self._is_closing = False
        self._last_job_s = 1.0
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._ahead = ThreadPoolExecutor(1, f"{name} ahead")

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Waits for the job in work, within limits; those behind it are cancelled."""
        with self._changed:
            self._is_closing = True
            waiting = [*self._requests, *self._house]
            self._changed.notify()
        for future, _ in waiting:  # outside the lock, which what follows a cancellation takes
            future.cancel()
        self._ahead.shutdown(wait=False, cancel_futures=True)
        if self._thread.is_alive():
            self._thread.join(CLOSE_WITHIN_S)

    async def run(self, job: Callable[[], T], *, is_long: bool = False) -> T:
        """Runs a request's job in its turn; `is_long` for a piece of something long.

        Raises:
            ServiceError: OVERLOADED, at once, where as many jobs as may be are waiting.
        """
        future: Future[T] = Future()
        with self._changed:
            if self._jobs >= self._max_jobs:
                raise self._overloaded()
            self._jobs += 1
            self._requests.add((future, lambda: self._timed(job)), is_long=is_long)
            self._changed.notify()
        future.add_done_callback(self._release)
        return await asyncio.wrap_future(future)

    def ahead(self, job: Callable[[], T]) -> Future[T]:
        """Begins what a request's job will need and what needs no model, on a thread of its own: while the model is at
        work on one request, the next one gets ready."""
        return self._ahead.submit(job)

    async def run_always(self, job: Callable[[], T]) -> T:
        """Runs a job of the house, such as loading, in its turn; it takes no request's place."""
        future: Future[T] = Future()
        with self._changed:
            self._house.append((future, job))
            self._changed.notify()
        return await asyncio.wrap_future(future)

    def _timed(self, job: Callable[[], T]) -> T:
        began = time.perf_counter()
        try:
            return job()
        finally:
            self._last_job_s = time.perf_counter() - began

    def _release(self, _: Future[Any]) -> None:
        with self._changed:
            self._jobs -= 1

    def _overloaded(self) -> ServiceError:
        message = f"the engine already holds {self._max_jobs} requests"
        return ServiceError(ErrorCode.OVERLOADED, message, retry_after_s=self._jobs * self._last_job_s)

    def _work(self) -> None:
        while self._work_on(self._take()):
            pass

    def _take(self) -> _Job | None:
        """The next job, as soon as there is one; None when there will be no more."""
        with self._changed:
            while not self._is_closing:
                if (request := self._requests.take()) is not None:
                    return request
                if self._house:
                    return self._house.popleft()
                self._changed.wait()
            return None

    def _work_on(self, entry: _Job | None) -> bool:
        """False at the end. A function of its own, so that no request's audio lives on until the next one comes."""
        if entry is None:
            return False
        future, job = entry
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(job())
            except BaseException as error:
                future.set_exception(error)
        return True
