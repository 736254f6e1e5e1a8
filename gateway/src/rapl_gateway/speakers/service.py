"""speaker-service as the gateway sees it: its processes, and which of them gets a request."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.models import ModelInfo, ModelState
from rapl_protocol.prepared import MAX_SEGMENT_S
from rapl_protocol.speakers import SPEAKERS_MODEL, DiarizationOptions, SpeakerReference, VoiceEmbedding
from rapl_service.calls.call import Http, Service
from rapl_service.calls.remedies import START_SPEAKERS

from rapl_gateway.backends.discovery import addresses_of, host_of
from rapl_gateway.backends.retry import Attempts, RestartWindow
from rapl_gateway.settings import Settings, split_urls
from rapl_gateway.speakers.process import SpeakerProcess
from rapl_gateway.speakers.running import RunningDiarization

NAME = "speaker-service"
_POLL_INTERVAL_S = 2.0
_PROBE_INTERVAL_S = 0.5
"""Seconds between two polls while it is restarting."""
_RETRY_INTERVAL_S = 0.2


class SpeakerService:
    """All processes of speaker-service, which are found by DNS and polled while the gateway runs.

    Args:
        http: the HTTP clients of the gateway.
        settings: has its addresses, and the limits of waiting.
    """

    def __init__(self, http: Http, settings: Settings) -> None:
        self._http = http
        self._urls = split_urls(settings.speakers_url or "")
        self._token = settings.speakers_token.get_secret_value() if settings.speakers_token else None
        self._idle_s = settings.deadline_s(MAX_SEGMENT_S)
        self._restart_window = RestartWindow(settings.restart_wait_s)
        self._was_ready = False
        self.failures: Counter[str] = Counter()
        """Diarizations that failed, by the error's code."""
        self.retries: Counter[str] = Counter()
        """Diarizations that were sent again, by the error code of the failure."""
        self.processes: list[SpeakerProcess] = []
        for url in self._urls:
            self._add(url, url)

    @property
    def was_polled(self) -> bool:
        return all(process.was_polled for process in self.processes)

    @property
    def was_reached(self) -> bool:
        return any(process.was_reached for process in self.processes)

    @property
    def problem(self) -> ServiceError | None:
        """Why requests with speakers fail now; None if they do not."""
        problems = [process.problem for process in self.processes]
        return problems[0] if all(problems) else None

    @property
    def model(self) -> ModelInfo | None:
        """Its model, as the process reports it that is the furthest; None if no process can be reached."""
        models = [process.model for process in self.processes if process.model]
        return next((model for model in models if model.state is ModelState.READY), next(iter(models), None))

    async def watch(self) -> None:
        """Finds the processes and polls them while the gateway runs."""
        while True:
            for url in self._urls:
                await self._resolve(url)
            await asyncio.gather(*(process.refresh() for process in self.processes))
            if self._is_back(self.model):
                self._restart_window.mark_ready()
            is_restarting = self.was_reached and self.problem is not None
            await asyncio.sleep(_PROBE_INTERVAL_S if is_restarting else _POLL_INTERVAL_S)

    async def load(self) -> None:
        """Loads its model in every process. Raises: ServiceError."""
        await self._change(lambda process: process.load(SPEAKERS_MODEL))

    async def unload(self) -> None:
        """Frees the model's memory in every process. Raises: ServiceError."""
        await self._change(lambda process: process.unload(SPEAKERS_MODEL))

    async def remove(self) -> None:
        """Removes the model's weights on the disk of every process, one after the other, because processes may share a
        disk. Raises: ServiceError."""
        await self._change(lambda process: process.remove(SPEAKERS_MODEL))

    async def _change(self, change: Callable[[SpeakerProcess], Awaitable[ModelInfo]]) -> None:
        for process in [each for each in self.processes if each.last_report] or self.processes:
            await change(process)
            await process.refresh()

    def _is_back(self, model: ModelInfo | None) -> bool:
        """Whether requests need not wait, or wait for a model that is loaded again after a restart."""
        if model and model.state is ModelState.READY:
            self._was_ready = True
        return model is not None and (
            model.state is ModelState.READY or (self._was_ready and model.state is ModelState.LOADING)
        )

    @asynccontextmanager
    async def diarization(
        self, references: Sequence[SpeakerReference], speakers: int | None, request_id: str
    ) -> AsyncGenerator[RunningDiarization]:
        """A context in which a diarization runs. It waits for a service that is restarting.

        Args:
            references: a recording of each known speaker.
            speakers: how many people speak; None: the service finds it out.
            request_id: for the log of speaker-service.

        Raises:
            ServiceError: the service did not accept the request.
        """
        running = await self._accepted(
            DiarizationOptions(speakers=speakers, references=len(references)), references, request_id
        )
        try:
            yield running
        finally:
            await running.close()

    async def embedding(self, audio: WavAudio, *, deadline_s: float, request_id: str | None = None) -> VoiceEmbedding:
        """Returns the voice in a piece of audio, from another process if the first one fails. Raises: ServiceError."""
        attempts = Attempts()
        while True:
            process = self._least_busy()
            try:
                return await process.embedding(audio, deadline_s=deadline_s, request_id=request_id)
            except ServiceError as error:
                if not attempts.may_retry(error):
                    raise

    async def _accepted(
        self, options: DiarizationOptions, references: Sequence[SpeakerReference], request_id: str
    ) -> RunningDiarization:
        """Returns a diarization that a process has accepted. Nothing of the recording has been sent before."""
        attempts = Attempts()
        while True:
            process = await self._usable()
            running = RunningDiarization(process, options, references, idle_s=self._idle_s, request_id=request_id)
            try:
                async with AsyncExitStack() as stack:
                    stack.push_async_callback(running.close)
                    await running.accepted()
                    stack.pop_all()
                return running
            except ServiceError as error:
                if not attempts.may_retry(error):
                    raise
                self.retries[error.code.value] += 1

    async def _usable(self) -> SpeakerProcess:
        """Returns a process, and waits for one that is restarting. Raises: ServiceError."""
        while True:
            try:
                return self._least_busy()
            except ServiceError:
                if not self._restart_window.is_open():
                    raise
            await asyncio.sleep(_RETRY_INTERVAL_S)

    def _least_busy(self) -> SpeakerProcess:
        """Raises: ServiceError, if no process can be used."""
        if self.problem:
            raise self.problem
        usable = [process for process in self.processes if process.problem is None]
        return min(usable, key=lambda process: (process.running, random.random()))

    async def _resolve(self, url: str) -> None:
        try:
            found = set(await addresses_of(url))
        except OSError:
            return  # all containers behind the name may be stopped: the known ones may start again
        known = {process.address for process in self.processes if process.service.url == url}
        for address in sorted(found - known):
            self._add(url, address)
        self.processes[:] = [each for each in self.processes if each.address not in known - found]

    def _add(self, url: str, address: str) -> None:
        elsewhere = {} if address == url else {"address": address, "host": host_of(url)}
        service = Service(NAME, url, START_SPEAKERS, token=self._token, **elsewhere)
        self.processes.append(SpeakerProcess(self._http, service, self.failures))


def not_configured(param: str) -> ServiceError:
    """The error of a request for speakers on a server that has no speaker-service. `param`: the field that asks."""
    remedy = f"{START_SPEAKERS} If it runs elsewhere, set RAPL_SPEAKERS_URL to its address."
    message = "This server does not tell speakers apart: it has no speaker-service."
    return ServiceError(ErrorCode.UNSUPPORTED_PARAMETER, message, param=param, remedy=remedy)
