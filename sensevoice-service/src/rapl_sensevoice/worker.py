"""One thread that does a model's work, one job after another."""

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from rapl_protocol.errors import ErrorCode, ServiceError

T = TypeVar("T")
_Job = tuple[Future[Any], Callable[[], Any]]

CLOSE_WITHIN_S = 10.0


class InferenceWorker:
    """A thread with a bounded queue. Only this thread ever calls the model.

    A job counts against the bound until its work has ended: when its caller is cancelled the thread still works. A
    job whose caller is cancelled before it began is never run, and stops counting at once.
    """

    def __init__(self, name: str, max_jobs: int) -> None:
        self._max_jobs = max_jobs
        self._jobs = 0
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._last_job_s = 1.0
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Waits for the job in work, within limits; those behind it are cancelled."""
        while True:
            try:
                waiting = self._queue.get_nowait()
            except queue.Empty:
                break
            if waiting:
                waiting[0].cancel()
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join(CLOSE_WITHIN_S)

    async def run(self, job: Callable[[], T]) -> T:
        """Runs a request's job in its turn.

        Raises:
            ServiceError: OVERLOADED, at once, where as many jobs as may be are waiting.
        """
        with self._lock:
            if self._jobs >= self._max_jobs:
                raise self._overloaded()
            self._jobs += 1
        future = self._put(lambda: self._timed(job))
        future.add_done_callback(self._release)
        return await asyncio.wrap_future(future)

    async def run_always(self, job: Callable[[], T]) -> T:
        """Runs a job of the house, such as loading, in its turn; it takes no request's place."""
        return await asyncio.wrap_future(self._put(job))

    def _put(self, job: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        self._queue.put((future, job))
        return future

    def _timed(self, job: Callable[[], T]) -> T:
        began = time.perf_counter()
        try:
            return job()
        finally:
            self._last_job_s = time.perf_counter() - began

    def _release(self, _: Future[Any]) -> None:
        with self._lock:
            self._jobs -= 1

    def _overloaded(self) -> ServiceError:
        message = f"the engine already holds {self._max_jobs} requests"
        return ServiceError(ErrorCode.OVERLOADED, message, retry_after_s=self._jobs * self._last_job_s)

    def _work(self) -> None:
        while self._work_on(self._queue.get()):
            pass

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
