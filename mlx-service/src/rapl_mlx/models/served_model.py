"""One model that can be requested: its requests, loading and unloading. `supervisor.py` runs its process."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.frames import Frame
from rapl_protocol.models import ModelInfo, ModelState
from rapl_protocol.transcriber import OnText
from rapl_protocol.transcript import TranscribeOptions, Transcript
from rapl_service.background import spawn

from rapl_mlx.child.contract import Failure
from rapl_mlx.download.on_disk import disk_bytes, remove_files
from rapl_mlx.models.catalog import ModelSource
from rapl_mlx.models.jobs import Job, JobQueue
from rapl_mlx.models.status import ModelStatus
from rapl_mlx.models.supervisor import ProcessSupervisor
from rapl_mlx.settings import Settings

MakeRoom = Callable[["ServedModel", int], Awaitable[Failure | None]]

log = logging.getLogger("rapl.mlx")


class ServedModel:
    """One model and its requests. Create it and use it in one event loop.

    Args:
        make_room: called before weights of the given size in bytes are loaded. Returns a failure if there is not
            enough memory.
    """

    def __init__(self, source: ModelSource, settings: Settings, make_room: MakeRoom) -> None:
        self._source = source
        self._id = source.id
        self._settings = settings
        self._jobs = JobQueue(settings.max_queue)
        self._load_lock = asyncio.Lock()
        self._is_unloading = False
        self._status = ModelStatus(source.id)
        self._last_used = asyncio.get_running_loop().time()
        self.process = ProcessSupervisor(
            source, settings, self._status, self, lambda weights_bytes: make_room(self, weights_bytes)
        )

    @property
    def info(self) -> ModelInfo:
        return self._status.info

    def report(self) -> ModelInfo:
        """`info` with the figures of the model's process: the memory that it holds now, and how often it ended."""
        figures = {"memory_bytes": self.process.held_bytes, "process_ends": self.process.ends}
        return self.info.model_copy(update=figures)

    @property
    def settled(self) -> asyncio.Event:
        """Set while the model is neither downloading nor loading."""
        return self._status.settled

    @property
    def is_busy(self) -> bool:
        return bool(self._jobs.answers())

    @property
    def unused_s(self) -> float:
        """Seconds since the last request was answered or the model became ready; 0 while a request is open."""
        return 0.0 if self.is_busy else asyncio.get_running_loop().time() - self._last_used

    async def load(self) -> None:
        """Starts to load the model, or retries a failed load, and returns at once."""
        async with self._load_lock:
            self.process.start()

    async def unload(self, drain_s: float, why: str = "it was unloaded; the next request loads it again") -> None:
        """Ends the process as soon as all accepted requests are answered, and after `drain_s` at the latest."""
        async with self._load_lock:
            await self._end_process(drain_s, why)

    async def remove(self, drain_s: float) -> None:
        """Unloads the model and removes its files. Requests that arrive meanwhile wait, and then load it again.

        Raises:
            ServiceError: UNSUPPORTED_PARAMETER; nothing was unloaded if the files are not in the cache.
        """
        async with self._load_lock:
            if self._source.folder is None:
                await self._end_process(drain_s, "it is being removed")
            await asyncio.to_thread(remove_files, self._source)
            self._status.show(ModelState.ABSENT, "its weights were removed; the next request downloads them again")
            await self.measure_files()

    async def measure_files(self) -> None:
        """Reads the size of the model's files on the disk into `info`."""
        self._status.show_disk_bytes(await asyncio.to_thread(disk_bytes, self._source))

    async def _end_process(self, drain_s: float, why: str) -> None:
        if not self.process.is_started:
            return
        self._is_unloading = True
        if answers := self._jobs.answers():
            await asyncio.wait(answers, timeout=drain_s)
        await self.process.stop()
        self._is_unloading = False
        self._status.show(ModelState.ABSENT, why)
        if unanswered := self._jobs.finish():
            unanswered.fail(self.info.not_ready_error())
        self._jobs.fail_waiting(self.info.not_ready_error())

    async def transcribe(
        self, audio: WavAudio, options: TranscribeOptions, on_text: OnText | None = None
    ) -> Transcript:
        """Raises: ServiceError, see `Transcriber`."""
        if not self.process.is_started or self._is_unloading:
            await self.load()
        if self.info.state in (ModelState.DOWNLOADING, ModelState.FAILED):
            raise self.info.not_ready_error()
        job = Job(audio, options, on_text)
        self._jobs.admit(job)
        job.answer.add_done_callback(lambda _: self._on_answered(job))
        if not self._status.is_ready:
            asyncio.get_running_loop().call_later(self._settings.load_wait_s, self._fail_if_not_loaded, job)
        self._dispatch()
        return await job.answer

    def _on_answered(self, job: Job) -> None:
        """If the client of the running request has left, sends "cancel", so that decoding stops between two tokens."""
        self._last_used = asyncio.get_running_loop().time()
        if job.answer.cancelled() and self._jobs.running is job:
            self.process.send({"type": "cancel", "job": job.number})

    def _fail_if_not_loaded(self, job: Job) -> None:
        if not self._status.is_ready and self._jobs.is_waiting(job):
            job.fail(self.info.not_ready_error())

    def _dispatch(self) -> None:
        """Sends the next request to the process, if it is ready and has none."""
        if not self.process.is_loaded or self._jobs.running:
            return
        if job := self._jobs.start_next():
            deadline_s = self._settings.deadline_base_s + self._settings.deadline_per_audio_s * job.audio.duration_s
            request = {"job": job.number, "options": job.options.model_dump(), "stream": job.on_text is not None}
            self.process.send_request({"type": "transcribe", **request}, job.audio.pcm, deadline_s)

    def on_frame(self, frame: Frame) -> None:
        match frame.header:
            case {"type": "downloading"}:
                self._jobs.fail_waiting(self.info.not_ready_error())
            case {"type": "ready"}:
                spawn(self.measure_files())
                self._last_used = asyncio.get_running_loop().time()
            case {"type": "text", "text": text}:
                if self._jobs.running:
                    self._jobs.running.add_text(text)
            case {"type": "result", "transcript": transcript}:
                if job := self._finish_job():
                    job.succeed(Transcript.model_validate(transcript))
            case {"type": "error", **envelope}:
                if job := self._finish_job():
                    job.fail(ServiceError.from_response(200, envelope))
            case {"type": "cancelled"}:
                log.info("model=%s stopped decoding: the client has disconnected", self._id)
                self._finish_job()
        self._dispatch()

    def _finish_job(self) -> Job | None:
        self.process.request_done()
        return self._jobs.finish()

    def on_deadline(self, deadline_s: float) -> None:
        if job := self._jobs.finish():
            message = f"the model did not answer within {deadline_s:g} s; its process is restarted"
            job.fail(ServiceError(ErrorCode.BACKEND_TIMEOUT, message))

    def on_process_end(self, how: str) -> None:
        self._jobs.process_died(how)

    def on_failed(self) -> None:
        spawn(self.measure_files())
        self._jobs.fail_waiting(self.info.not_ready_error())
