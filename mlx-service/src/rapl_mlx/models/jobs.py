"""The requests of one model: a bounded queue, and the one request that the model's process works on."""

import asyncio
import itertools
import logging
import time
from dataclasses import dataclass, field

from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.transcriber import OnText
from rapl_protocol.transcript import TranscribeOptions, Transcript
from rapl_service.fair_queue import BoundedQueue

_MAX_RUNS = 2
"""Most runs of a request. A process may die for other reasons than its request, so the request gets a second run."""

_numbers = itertools.count(1)

log = logging.getLogger("rapl.mlx")


@dataclass(eq=False, slots=True)
class Job:
    audio: WavAudio
    options: TranscribeOptions
    on_text: OnText | None = None
    answer: asyncio.Future[Transcript] = field(default_factory=asyncio.Future)
    number: int = field(default_factory=lambda: next(_numbers))
    runs: int = 0
    _text: str = ""
    """The text of this run so far."""
    _sent: str = ""
    """The text that `on_text` has received, in this run or an earlier one."""

    def begin(self) -> None:
        self.runs += 1
        self._text = ""

    def add_text(self, text: str) -> None:
        """Passes new text to `on_text`, except text that an earlier run already sent."""
        self._text += text
        if self.on_text and not self.answer.done() and self._text.startswith(self._sent):
            new, self._sent = self._text[len(self._sent) :], self._text
            if new:
                self.on_text(new)

    def succeed(self, transcript: Transcript) -> None:
        if not self.answer.done():  # it is done already if the client has disconnected
            self.answer.set_result(transcript)

    def fail(self, error: ServiceError) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class JobQueue:
    """The waiting jobs and the running one, which stays until its work ends, even if its client has disconnected.

    Args:
        limit: jobs that may wait; the running one does not count.
    """

    def __init__(self, limit: int) -> None:
        self._waiting: BoundedQueue[Job] = BoundedQueue(limit)
        self._began_at = 0.0
        self.running: Job | None = None

    def admit(self, job: Job) -> None:
        """Raises: ServiceError, OVERLOADED."""
        self._waiting.add(job, is_long=job.options.is_long)
        job.answer.add_done_callback(lambda _: self._waiting.remove(job))

    def start_next(self) -> Job | None:
        """Makes the next unanswered job the running one and returns it; None if one is running or none waits."""
        if self.running:
            return None
        while self.running is None and (job := self._waiting.take()):
            if not job.answer.done():
                job.begin()
                self.running, self._began_at = job, time.monotonic()
        return self.running

    def finish(self) -> Job | None:
        """Removes the running job and returns it."""
        if self.running:
            self._waiting.request_s = time.monotonic() - self._began_at
        job, self.running = self.running, None
        return job

    def process_died(self, how: str) -> None:
        """Puts the running job back at the front of the queue, or fails it after _MAX_RUNS runs."""
        job = self.finish()
        if job is None or job.answer.done():
            return
        if job.runs < _MAX_RUNS:
            log.warning("model=%s retry: its process died (%s) and the request runs once more", job.options.model, how)
            self._waiting.put_back(job)
            return
        message = f"the model's process died on this audio, {_MAX_RUNS} times in a row ({how}); its log has the cause"
        job.fail(ServiceError(ErrorCode.INTERNAL, message))

    def is_waiting(self, job: Job) -> bool:
        return job in self._waiting

    def fail_waiting(self, error: ServiceError) -> None:
        while job := self._waiting.take():
            job.fail(error)

    def answers(self) -> list[asyncio.Future[Transcript]]:
        """The futures of all jobs that have no answer yet."""
        jobs = [self.running, *self._waiting] if self.running else self._waiting
        return [job.answer for job in jobs if not job.answer.done()]
