"""One process of speaker-service, as the gateway sees it."""

from collections import Counter
from collections.abc import AsyncIterable, Generator
from contextlib import contextmanager

from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.models import ModelInfo, ModelList, ModelState
from rapl_protocol.speakers import Diarization, DiarizationEvent, VoiceEmbedding, unusable_reference_index
from rapl_service.calls.call import Http, Service
from rapl_service.calls.speakers import SpeakerClient


class SpeakerProcess(SpeakerClient):
    """The client of one process, which is polled while the gateway runs.

    Args:
        http: the HTTP clients of the gateway.
        service: the address of the process.
        failures: counts the diarizations that failed, by the error's code.
    """

    def __init__(self, http: Http, service: Service, failures: Counter[str]) -> None:
        super().__init__(http, service)
        self._failures = failures
        self._failure: ServiceError | None = None
        self.last_report: ModelList | None = None
        """None if it cannot be reached, or if it was not polled yet."""
        self.was_polled = self.was_reached = False
        self.running = 0
        """Diarizations in progress; each one counts itself, from its start."""

    @property
    def address(self) -> str:
        return self.service.base_url

    @property
    def problem(self) -> ServiceError | None:
        """Why it gets no requests now; None if it gets requests."""
        if self._failure:
            return _same(self._failure)
        model = self.model
        return None if model is None or model.state is ModelState.READY else model.not_ready_error()

    @property
    def model(self) -> ModelInfo | None:
        """A model that is ready, or else the first one."""
        models = self.last_report.models if self.last_report else []
        ready = (info for info in models if info.state is ModelState.READY)
        return next(ready, next(iter(models), None))

    async def refresh(self) -> None:
        """Polls it once. A poll that times out says nothing: all of its cores may be busy."""
        try:
            self.last_report = await self.report()
        except ServiceError as error:
            if error.code is not ErrorCode.BACKEND_TIMEOUT or not self.was_reached:
                self._mark(error)
        else:
            self._failure, self.was_reached = None, True
        self.was_polled = True

    async def diarize(
        self, events: AsyncIterable[DiarizationEvent], *, idle_s: float, request_id: str | None = None
    ) -> Diarization:
        """Same as `SpeakerClient.diarize`. An error about a reference is worded as OpenAI's field."""
        try:
            with self._marking():
                return await super().diarize(events, idle_s=idle_s, request_id=request_id)
        except ServiceError as error:
            self._failures[error.code.value] += 1
            index = unusable_reference_index(error)
            if index is None:
                raise
            raise unusable_clip(index, error.reason.partition(f"{index} ")[2]) from None

    async def embedding(self, audio: WavAudio, *, deadline_s: float, request_id: str | None = None) -> VoiceEmbedding:
        """Same as `SpeakerClient.embedding`."""
        with self._marking():
            return await super().embedding(audio, deadline_s=deadline_s, request_id=request_id)

    @contextmanager
    def _marking(self) -> Generator[None]:
        """After a failure that is the process's own, it gets no requests until a poll succeeds."""
        try:
            yield
        except ServiceError as error:
            if error.code in (ErrorCode.BACKEND_UNAVAILABLE, ErrorCode.MODEL_NOT_READY):
                self._mark(error)
            raise

    def _mark(self, error: ServiceError) -> None:
        self._failure = _same(error)
        if error.code is not ErrorCode.MODEL_NOT_READY:
            self.last_report = None


def unusable_clip(index: int, reason: str) -> ServiceError:
    """The error of a known speaker's clip. `reason` is the end of a sentence, and does not have the speaker's name."""
    field = "known_speaker_references"
    return ServiceError(ErrorCode.INVALID_REQUEST, f"'{field}[{index}]' {reason}", param=field)


def _same(error: ServiceError) -> ServiceError:
    """Returns the error without its traceback, which keeps the audio of the request that failed."""
    return ServiceError(
        error.code, error.reason, param=error.param, retry_after_s=error.retry_after_s, remedy=error.remedy
    )
