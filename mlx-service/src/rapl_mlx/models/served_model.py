"""One model that may be asked for: its state, its process while it has one, and its requests.

absent -> loading -> [downloading -> loading] -> ready
          failed (tries again by itself where time may heal it, and whenever it is told to load)
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.frames import Frame
from rapl_protocol.models import Capabilities, ModelInfo, ModelState, Progress
from rapl_protocol.transcriber import OnText
from rapl_protocol.transcript import TranscribeOptions, Transcript

from rapl_mlx.child.contract import Failure
from rapl_mlx.child.handle import ChildProcess
from rapl_mlx.child.heartbeat import SILENCE_LIMIT_S, Deadline, Heartbeat
from rapl_mlx.child.restarts import SEE_LOG, Restarts
from rapl_mlx.models.catalog import ModelSource
from rapl_mlx.models.jobs import Job, JobQueue
from rapl_mlx.models.memory import process_bytes
from rapl_mlx.models.status import ModelStatus
from rapl_mlx.settings import Settings

_STOP_GRACE_S = 3.0

MakeRoom = Callable[["ServedModel", int], Awaitable[Failure | None]]

log = logging.getLogger("rapl.mlx")


class ServedModel:
    """Must be made and used in one event loop.

    Args:
        make_room: is asked before weights of so many bytes are loaded, and says why they may not, if so.
    """

    def __init__(self, source: ModelSource, settings: Settings, make_room: MakeRoom) -> None:
        self._source = source
        self._settings = settings
        self._make_room = make_room
        self._jobs = JobQueue(settings.max_queue)
        self._child: ChildProcess | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._load_lock = asyncio.Lock()
        self._is_unloading = False
        self._retry_now = asyncio.Event()
        self._deadline = Deadline()
        self._heartbeat = Heartbeat(lambda: self._send({"type": "ping"}), self._on_silence)
        self._killed_for: str | None = None
        """Why we ended the process, if we did."""
        self._failure: Failure | None = None
        self._restarts = Restarts()
        self._status = ModelStatus(source.id)
        self._last_used = asyncio.get_running_loop().time()
        self._is_fresh = True
        """The process has not had a request yet."""
        self.reserved_bytes = 0
        """What the weights that it is loading will take."""

    @property
    def info(self) -> ModelInfo:
        return self._status.info

    @property
    def settled(self) -> asyncio.Event:
        """Set while the model neither downloads nor loads."""
        return self._status.settled

    @property
    def is_loaded(self) -> bool:
        return self._child is not None and self._status.is_ready

    @property
    def is_dormant(self) -> bool:
        """It has no process and will have none before it is asked for."""
        return self._keeper is None or self._keeper.done()

    @property
    def is_busy(self) -> bool:
        return bool(self._jobs.answers())

    @property
    def unused_s(self) -> float:
        """Since a request for it came or was answered; 0 while one is at work."""
        return 0.0 if self.is_busy else asyncio.get_running_loop().time() - self._last_used

    @property
    def memory_bytes(self) -> int:
        held = process_bytes(self._child.pid) if self._child else None
        return max(held or 0, self.reserved_bytes)

    def end_if_larger_than(self, limit_bytes: int) -> None:
        """Ends the process if it has grown past its limit. It starts again, and its request runs once more."""
        if not self.is_loaded or self.memory_bytes <= limit_bytes:
            return
        if self._is_fresh:
            reason = f"it holds {self.memory_bytes >> 20} MiB as soon as it is loaded, and may have {limit_bytes >> 20}"
            remedy = "Raise RAPL_MLX_MODEL_MEMORY_LIMIT_MB, or choose a smaller model."
            self._failure = Failure(reason=reason, remedy=remedy)
        self._kill(f"it grew past {limit_bytes >> 20} MiB, RAPL_MLX_MODEL_MEMORY_LIMIT_MB")

    async def load(self) -> None:
        """Begins to make the model ready, or to try again at once, and returns."""
        async with self._load_lock:
            self._retry_now.set()
            if self._keeper is None or self._keeper.done():
                self._restarts.reset()
                self._status.show(ModelState.LOADING)
                self._keeper = asyncio.create_task(self._keep_running(), name=f"keeper of {self._source.id}")

    async def unload(self, drain_s: float, why: str = "it was unloaded; the next request loads it again") -> None:
        """Ends the process, after the requests that it has accepted or `drain_s`."""
        async with self._load_lock:
            if self._keeper is None:
                return
            self._is_unloading = True
            if answers := self._jobs.answers():
                await asyncio.wait(answers, timeout=drain_s)
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
            self._is_unloading = False
            self._status.show(ModelState.ABSENT, why)
            if unanswered := self._jobs.finish():
                unanswered.fail(self.info.not_ready_error())
            self._jobs.fail_waiting(self.info.not_ready_error())

    async def transcribe(
        self, audio: WavAudio, options: TranscribeOptions, on_text: OnText | None = None
    ) -> Transcript:
        """Raises: ServiceError, see `Transcriber`."""
        if self._keeper is None or self._is_unloading:
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
        """Where nobody waits any more for what is running, the process stops between two tokens."""
        self._last_used = asyncio.get_running_loop().time()
        if job.answer.cancelled() and self._jobs.running is job:
            self._send({"type": "cancel", "job": job.number})

    def _fail_if_not_loaded(self, job: Job) -> None:
        if not self._status.is_ready and self._jobs.is_waiting(job):
            job.fail(self.info.not_ready_error())

    async def _keep_running(self) -> None:
        try:
            pause_s: float | None = 0.0
            while pause_s is not None:
                await self._pause(pause_s)
                how = await self._run_child()
                self._jobs.process_died(how)
                pause_s = self._after_end(how)
        except Exception:
            log.exception("model=%s the keeper of its process failed", self._source.id)
            self._give_up(Failure(reason="its process cannot be run", remedy=SEE_LOG))

    async def _pause(self, pause_s: float) -> None:
        self._retry_now.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._retry_now.wait(), pause_s)

    async def _run_child(self) -> str:
        """Runs one process to its end, and says how it ended."""
        self._failure = self._killed_for = None
        child = self._child = await ChildProcess.start(self._source, self._settings)
        log.info("model=%s pid=%d started", self._source.id, child.pid)
        self._status.show(ModelState.LOADING, self.info.reason if self._restarts.deaths else None)
        self._deadline.start(self._settings.load_timeout_s, self._on_load_timeout)
        try:
            async for frame in child.frames():
                self._heartbeat.reset()
                if frame.header["type"] == "loading":
                    await self._admit_weights(frame.header["weights_bytes"])
                else:
                    self._on_frame(frame)
        except asyncio.CancelledError:
            await child.stop(_STOP_GRACE_S)
            raise
        finally:
            self._child = None
            self.reserved_bytes = 0
            self._deadline.stop()
            self._heartbeat.stop()
            how = await child.wait_ended()
            log.info("model=%s pid=%d ended how=%r", self._source.id, child.pid, how)
        return self._killed_for or how

    async def _admit_weights(self, weights_bytes: int) -> None:
        self._deadline.stop()
        self._status.show(ModelState.LOADING)
        self._failure = await self._make_room(self, weights_bytes)
        if self._failure:
            self._kill("there is no memory for it")
        else:
            self._deadline.start(self._settings.load_timeout_s, self._on_load_timeout)
            self._send({"type": "load"})

    def _after_end(self, how: str) -> float | None:
        """Shows what the end of the process means; returns when to start another one, if at all."""
        self._failure = self._failure or self._restarts.record_death(how)
        if self._failure:
            self._give_up(self._failure)
            return self._failure.retry_after_s
        self._status.show(ModelState.LOADING, f"its process ended ({how}) and starts again")
        return self._restarts.pause_s

    def _give_up(self, failure: Failure) -> None:
        self._restarts.reset()
        self._status.show(ModelState.FAILED, failure.reason, failure.remedy)
        self._jobs.fail_waiting(self.info.not_ready_error())

    def _on_frame(self, frame: Frame) -> None:
        match frame.header:
            case {"type": "downloading", **progress}:
                self._on_download(Progress.model_validate(progress))
            case {"type": "warming"}:
                self._status.show(ModelState.LOADING, "it transcribes a test sound")
            case {"type": "ready", "capabilities": capabilities}:
                self._deadline.stop()
                self.reserved_bytes = 0
                self._is_fresh = True
                self._last_used = asyncio.get_running_loop().time()
                self._status.capabilities = Capabilities.model_validate(capabilities)
                self._status.show(ModelState.READY)
            case {"type": "failed", **failure}:
                self._failure = Failure.model_validate(failure)
            case {"type": "text", "text": text}:
                if self._jobs.running:
                    self._jobs.running.hear(text)
            case {"type": "result", "transcript": transcript}:
                if job := self._finish_job():
                    job.succeed(Transcript.model_validate(transcript))
            case {"type": "error", **envelope}:
                if job := self._finish_job():
                    job.fail(ServiceError.from_response(200, envelope))
            case {"type": "cancelled"}:
                log.info("model=%s stopped decoding: nobody waits for it any more", self._source.id)
                self._finish_job()
        self._dispatch()

    def _on_download(self, progress: Progress) -> None:
        self._deadline.stop()  # it takes as long as it takes, and the hub's client has time-outs of its own
        self._status.show_download(progress)
        self._jobs.fail_waiting(self.info.not_ready_error())

    def _dispatch(self) -> None:
        if self._child is None or not self._status.is_ready or self._jobs.running:
            return
        if job := self._jobs.start_next():
            self._restarts.reset()
            self._is_fresh = False
            deadline_s = self._settings.deadline_base_s + self._settings.deadline_per_audio_s * job.audio.duration_s
            self._deadline.start(deadline_s, lambda: self._on_deadline(deadline_s))
            self._heartbeat.start()
            request = {"job": job.number, "options": job.options.model_dump(), "stream": job.on_text is not None}
            self._send({"type": "transcribe", **request}, job.audio.pcm)

    def _finish_job(self) -> Job | None:
        self._deadline.stop()
        self._heartbeat.stop()
        return self._jobs.finish()

    def _on_deadline(self, deadline_s: float) -> None:
        if job := self._finish_job():
            message = f"the model did not answer within {deadline_s:g} s; its process is started again"
            job.fail(ServiceError(ErrorCode.BACKEND_TIMEOUT, message))
        self._kill("it hung")

    def _on_silence(self) -> None:
        self._kill(f"it gave no sign of life for {SILENCE_LIMIT_S:g} s")

    def _on_load_timeout(self) -> None:
        reason = f"it did not load within {self._settings.load_timeout_s:g} s"
        remedy = "Choose a smaller model, or raise RAPL_MLX_LOAD_TIMEOUT_S."
        self._failure = Failure(reason=reason, remedy=remedy)
        self._kill("it did not load")

    def _kill(self, why: str) -> None:
        if self._child:
            self._killed_for = why
            if self._status.is_ready:
                self._status.show(ModelState.LOADING, f"its process is ended ({why}) and starts again")
            self._child.kill()

    def _send(self, header: dict[str, Any], *payload: bytes | memoryview) -> None:
        if self._child:
            self._child.send(header, *payload)
