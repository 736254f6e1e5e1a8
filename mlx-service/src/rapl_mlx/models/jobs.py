"""The requests of one model: bounded, one at a time, short ones before the pieces of long ones."""

import asyncio
import itertools
import logging
from dataclasses import dataclass, field

from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.transcriber import OnText
from rapl_protocol.transcript import TranscribeOptions, Transcript
from rapl_service.fair_queue import FairQueue

_MAX_RUNS = 2
"""A process may die for reasons of its own, so its request is run once more; a second death is the request's doing."""

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
    """The text of this run."""
    _sent: str = ""
    """How much of it whoever asked has been told, in this run or in one whose process died."""

    def begin(self) -> None:
        self.runs += 1
        self._text = ""

    def add_text(self, text: str) -> None:
        """Passes on how the text grows; what a run before this one had already told is not told again."""
        self._text += text
        if self.on_text and not self.answer.done() and self._text.startswith(self._sent):
            grown, self._sent = self._text[len(self._sent) :], self._text
            if grown:
                self.on_text(grown)

    def succeed(self, transcript: Transcript) -> None:
        if not self.answer.done():  # whoever asked may have gone away
            self.answer.set_result(transcript)

    def fail(self, error: ServiceError) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class JobQueue:
    """Waiting and running jobs. The running one counts until the work ends, even if nobody waits for it any more."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: FairQueue[Job] = FairQueue()
        self.running: Job | None = None

    def admit(self, job: Job) -> None:
        """Raises: ServiceError, OVERLOADED."""
        if len(self._waiting) >= self._limit:
            message = f"{self._limit} requests are waiting for this model already"
            raise ServiceError(ErrorCode.OVERLOADED, message, retry_after_s=2)
        self._waiting.add(job, is_long=job.options.is_long)

    def start_next(self) -> Job | None:
        """Makes the next job that somebody still waits for the running one, if none is running."""
        if self.running:
            return None
        while self.running is None and (job := self._waiting.take()):
            if not job.answer.done():
                job.begin()
                self.running = job
        return self.running

    def finish(self) -> Job | None:
        """Takes the running job out."""
        job, self.running = self.running, None
        return job

    def process_died(self, how: str) -> None:
        """Puts the running job back in front, or fails it if it has had its runs."""
        job = self.finish()
        if job is None or job.answer.done():
            return
        if job.runs < _MAX_RUNS:
            log.warning("model=%s its process died (%s) and the request runs once more", job.options.model, how)
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
        """Of all jobs that are not answered."""
        jobs = [self.running, *self._waiting] if self.running else self._waiting
        return [job.answer for job in jobs if not job.answer.done()]
