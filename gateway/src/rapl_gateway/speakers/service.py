"""speaker-service as the gateway sees it: whether it works, and its requests."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from contextlib import asynccontextmanager

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.models import ModelInfo, ModelList, ModelState
from rapl_protocol.prepared import MAX_SEGMENT_S
from rapl_protocol.speakers import (
    Diarization,
    DiarizationEvent,
    DiarizationOptions,
    SpeakerReference,
    unusable_reference_index,
)
from rapl_service.calls.call import Http, Service
from rapl_service.calls.remedies import START_SPEAKERS
from rapl_service.calls.speakers import SpeakerClient

from rapl_gateway.settings import Settings
from rapl_gateway.speakers.running import RunningDiarization

NAME = "speaker-service"
_POLL_INTERVAL_S = 2.0


class SpeakerService(SpeakerClient):
    """The client of speaker-service, which is polled while the gateway runs.

    Args:
        http: the HTTP clients of the gateway.
        service: the address of speaker-service.
        idle_s: how long the service may take for one step, in seconds.
    """

    def __init__(self, http: Http, service: Service, idle_s: float) -> None:
        super().__init__(http, service)
        self._idle_s = idle_s
        self._report: ModelList | None = None
        self.was_polled = self.was_reached = False
        self.running = 0
        """Diarizations in progress."""
        self.failures: Counter[str] = Counter()
        """Diarizations that failed, by the error's code."""

    @property
    def is_reachable(self) -> bool:
        return self._report is not None

    @property
    def memory_bytes(self) -> int | None:
        return self._report and self._report.memory_bytes

    @property
    def version(self) -> str | None:
        return self._report and self._report.version

    @property
    def problem(self) -> ServiceError | None:
        """Why requests with speakers fail now; None if they do not."""
        if self._report is None:
            message = f"{self.service.name} at {self.service.url} cannot be reached."
            return ServiceError(ErrorCode.BACKEND_UNAVAILABLE, message, remedy=self.service.remedy)
        model = self._model(self._report)
        return None if model is None or model.state is ModelState.READY else model.not_ready_error()

    @staticmethod
    def _model(report: ModelList) -> ModelInfo | None:
        """Returns a model that is ready, or else the first one."""
        ready = (info for info in report.models if info.state is ModelState.READY)
        return next(ready, next(iter(report.models), None))

    async def watch(self) -> None:
        """Polls the service while the gateway runs."""
        while True:
            try:
                self._report = await self.report()
                self.was_reached = True
            except ServiceError:
                self._report = None
            self.was_polled = True
            await asyncio.sleep(_POLL_INTERVAL_S)

    async def diarize(
        self, events: AsyncIterable[DiarizationEvent], *, idle_s: float, request_id: str | None = None
    ) -> Diarization:
        """Same as `SpeakerClient.diarize`. An error about a reference is worded as OpenAI's field."""
        self.running += 1
        try:
            return await super().diarize(events, idle_s=idle_s, request_id=request_id)
        except ServiceError as error:
            self.failures[error.code.value] += 1
            index = unusable_reference_index(error)
            if index is None:
                raise
            raise unusable_clip(index, error.reason.partition(f"{index} ")[2]) from None
        finally:
            self.running -= 1

    @asynccontextmanager
    async def diarization(
        self, references: Sequence[SpeakerReference], speakers: int | None, request_id: str
    ) -> AsyncGenerator[RunningDiarization]:
        """A context in which a diarization runs.

        Args:
            references: a recording of each known speaker.
            speakers: how many people speak; None: the service finds it out.
            request_id: for the log of speaker-service.

        Raises:
            ServiceError: the service did not accept the request.
        """
        options = DiarizationOptions(speakers=speakers, references=len(references))
        running = RunningDiarization(self, options, references, idle_s=self._idle_s, request_id=request_id)
        try:
            await running.accepted()
            yield running
        finally:
            await running.close()


def speaker_service(http: Http, settings: Settings) -> SpeakerService | None:
    """Returns the client; None if no speaker-service is configured."""
    if settings.speakers_url is None:
        return None
    token = settings.speakers_token.get_secret_value() if settings.speakers_token else None
    service = Service(NAME, settings.speakers_url, START_SPEAKERS, token=token)
    return SpeakerService(http, service, settings.deadline_s(MAX_SEGMENT_S))


def not_configured(param: str) -> ServiceError:
    """The error of a request for speakers on a server that has no speaker-service. `param`: the field that asks."""
    remedy = f"{START_SPEAKERS} If it runs elsewhere, set RAPL_SPEAKERS_URL to its address."
    message = "This server does not tell speakers apart: it has no speaker-service."
    return ServiceError(ErrorCode.UNSUPPORTED_PARAMETER, message, param=param, remedy=remedy)


def unusable_clip(index: int, reason: str) -> ServiceError:
    """The error of a known speaker's clip. `reason` is the end of a sentence, and does not have the speaker's name."""
    field = "known_speaker_references"
    return ServiceError(ErrorCode.INVALID_REQUEST, f"'{field}[{index}]' {reason}", param=field)
