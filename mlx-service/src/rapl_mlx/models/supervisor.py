"""Supervises the process of one model: starts it, tracks its state, and kills and restarts it if necessary.

absent -> loading -> [downloading -> loading] -> ready
          failed (retried automatically if the failure has `retry_after_s`, and on every `start`)
"""

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from rapl_protocol.frames import Frame
from rapl_protocol.models import Capabilities, ModelState, Progress
from rapl_service.memory import process_bytes

from rapl_mlx.child.contract import Failure
from rapl_mlx.child.handle import ChildProcess
from rapl_mlx.child.heartbeat import SILENCE_LIMIT_S, Deadline, Heartbeat
from rapl_mlx.child.restarts import SEE_LOG, Restarts
from rapl_mlx.models.catalog import ModelSource
from rapl_mlx.models.status import ModelStatus
from rapl_mlx.settings import Settings

_STOP_GRACE_S = 3.0

log = logging.getLogger("rapl.mlx")


class ProcessEvents(Protocol):
    """What the supervisor reports to the owner of the model's requests."""

    def on_frame(self, frame: Frame) -> None:
        """Called for every frame of the process, after the supervisor has handled it."""

    def on_deadline(self, deadline_s: float) -> None:
        """The running request exceeded its deadline. The process is killed next."""

    def on_process_end(self, how: str) -> None:
        """The process has ended. It may be restarted."""

    def on_failed(self) -> None:
        """The model's state is now `failed`."""


class ProcessSupervisor:
    """Runs the process of one model. Use it in one event loop.

    Args:
        status: updated when the state of the model changes.
        reserve_memory: called with the size of the weights in bytes before they are loaded.
            Returns a failure if there is not enough memory.
    """

    def __init__(
        self,
        source: ModelSource,
        settings: Settings,
        status: ModelStatus,
        events: ProcessEvents,
        reserve_memory: Callable[[int], Awaitable[Failure | None]],
    ) -> None:
        self._source = source
        self._settings = settings
        self._status = status
        self._events = events
        self._reserve_memory = reserve_memory
        self._child: ChildProcess | None = None
        self._task: asyncio.Task[None] | None = None
        self._retry_now = asyncio.Event()
        self._deadline = Deadline()
        self._heartbeat = Heartbeat(lambda: self.send({"type": "ping"}), self._on_silence)
        self._restarts = Restarts()
        self._killed_for: str | None = None
        """Why the supervisor killed the process; None if it did not."""
        self._failure: Failure | None = None
        self.ends = 0
        """How often the process has ended by itself or was killed for a reason."""
        self._had_request = False
        """Whether the running process has received a request."""
        self.reserved_bytes = 0
        """Memory reserved for weights that are being loaded."""

    @property
    def is_started(self) -> bool:
        """Whether `start` was called, and `stop` was not called since."""
        return self._task is not None

    @property
    def is_dormant(self) -> bool:
        """Whether there is no process and none will be started before the next `start`."""
        return self._task is None or self._task.done()

    @property
    def is_loaded(self) -> bool:
        return self._child is not None and self._status.is_ready

    @property
    def held_bytes(self) -> int | None:
        """Memory of the process; None if there is none."""
        return process_bytes(self._child.pid) if self._child else None

    @property
    def memory_bytes(self) -> int:
        """Memory of the process, or the memory that is reserved for it if that is more."""
        return max(self.held_bytes or 0, self.reserved_bytes)

    def start(self) -> None:
        """Starts the process if there is none. If a retry is pending, retries at once."""
        self._retry_now.set()
        if self.is_dormant:
            self._restarts.reset()
            self._status.show(ModelState.LOADING)
            # Without the context of the request that was the reason: the process outlives it.
            self._task = asyncio.create_task(
                self._keep_running(), name=f"supervisor of {self._source.id}", context=contextvars.Context()
            )

    async def stop(self) -> None:
        """Ends the process. It is not restarted."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def send(self, header: dict[str, Any], *payload: bytes | memoryview) -> None:
        if self._child:
            self._child.send(header, *payload)

    def send_request(self, header: dict[str, Any], payload: bytes | memoryview, deadline_s: float) -> None:
        """Sends a request. The process is killed if it does not answer in time or stops responding to pings."""
        self._restarts.reset()
        self._had_request = True
        self._deadline.start(deadline_s, lambda: self._on_deadline(deadline_s))
        self._heartbeat.start()
        self.send(header, payload)

    def request_done(self) -> None:
        """Stops the deadline and the heartbeat of the running request."""
        self._deadline.stop()
        self._heartbeat.stop()

    def kill_if_larger_than(self, limit_bytes: int) -> None:
        """Kills the process if it exceeds its limit. It is restarted if it had a request; otherwise the model fails."""
        if not self.is_loaded or self.memory_bytes <= limit_bytes:
            return
        if not self._had_request:
            reason = (
                f"its process uses {self.memory_bytes >> 20} MiB after loading; the limit is {limit_bytes >> 20} MiB"
            )
            remedy = "Raise RAPL_MLX_MODEL_MEMORY_LIMIT_MB, or choose a smaller model."
            self._failure = Failure(reason=reason, remedy=remedy)
        self._kill(f"it exceeded {limit_bytes >> 20} MiB, RAPL_MLX_MODEL_MEMORY_LIMIT_MB")

    async def _keep_running(self) -> None:
        try:
            pause_s: float | None = 0.0
            while pause_s is not None:
                await self._pause(pause_s)
                how = await self._run_child()
                self.ends += 1
                self._events.on_process_end(how)
                pause_s = self._after_end(how)
        except Exception:
            log.exception("model=%s the supervisor of its process failed", self._source.id)
            self._give_up(Failure(reason="its process cannot be run", remedy=SEE_LOG))

    async def _pause(self, pause_s: float) -> None:
        self._retry_now.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._retry_now.wait(), pause_s)

    async def _run_child(self) -> str:
        """Runs one process to its end. Returns how it ended."""
        self._failure = self._killed_for = None
        child = self._child = await ChildProcess.start(self._source, self._settings)
        log.info("model=%s pid=%d started", self._source.id, child.pid)
        self._status.show(ModelState.LOADING, self._status.info.reason if self._restarts.deaths else None)
        self._start_load_deadline()
        try:
            async for frame in child.frames():
                self._heartbeat.reset()
                await self._on_frame(frame)
        except asyncio.CancelledError:
            await child.stop(_STOP_GRACE_S)
            raise
        finally:
            self._child = None
            self.reserved_bytes = 0
            self.request_done()
            how = await child.wait_ended()
            log.info("model=%s pid=%d ended how=%r", self._source.id, child.pid, how)
        return self._killed_for or how

    async def _on_frame(self, frame: Frame) -> None:
        match frame.header:
            case {"type": "downloading", **progress}:
                self._deadline.stop()  # a download has no time limit here; the hub's client has its own timeouts
                self._status.show_download(Progress.model_validate(progress))
            case {"type": "loading", "weights_bytes": weights_bytes}:
                await self._allow_to_load(weights_bytes)
            case {"type": "warming"}:
                self._status.show(ModelState.LOADING, "transcribing a test sound")
            case {"type": "ready", "capabilities": capabilities}:
                self._deadline.stop()
                self.reserved_bytes = 0
                self._had_request = False
                self._status.capabilities = Capabilities.model_validate(capabilities)
                self._status.show(ModelState.READY)
            case {"type": "failed", **failure}:
                self._failure = Failure.model_validate(failure)
        self._events.on_frame(frame)

    async def _allow_to_load(self, weights_bytes: int) -> None:
        self._deadline.stop()
        self._status.show(ModelState.LOADING)
        self._failure = await self._reserve_memory(weights_bytes)
        if self._failure:
            self._kill("not enough memory to load it")
        else:
            self._start_load_deadline()
            self.send({"type": "load"})

    def _after_end(self, how: str) -> float | None:
        """Updates the state. Returns the seconds until the next start; None if the process is not restarted."""
        self._failure = self._failure or self._restarts.record_death(how)
        if self._failure:
            self._give_up(self._failure)
            return self._failure.retry_after_s
        self._status.show(ModelState.LOADING, f"its process ended ({how}) and is restarted")
        return self._restarts.pause_s

    def _give_up(self, failure: Failure) -> None:
        self._restarts.reset()
        self._status.show(ModelState.FAILED, failure.reason, failure.remedy)
        self._events.on_failed()

    def _start_load_deadline(self) -> None:
        self._deadline.start(self._settings.load_timeout_s, self._on_load_timeout)

    def _on_load_timeout(self) -> None:
        reason = f"it did not load within {self._settings.load_timeout_s:g} s"
        remedy = "Choose a smaller model, or raise RAPL_MLX_LOAD_TIMEOUT_S."
        self._failure = Failure(reason=reason, remedy=remedy)
        self._kill("it did not load in time")

    def _on_deadline(self, deadline_s: float) -> None:
        self.request_done()
        self._events.on_deadline(deadline_s)
        self._kill("a request exceeded its deadline")

    def _on_silence(self) -> None:
        self._kill(f"it did not respond for {SILENCE_LIMIT_S:g} s")

    def _kill(self, why: str) -> None:
        if self._child:
            self._killed_for = why
            if self._status.is_ready:
                self._status.show(ModelState.LOADING, f"its process is killed ({why}) and restarted")
            self._child.kill()
