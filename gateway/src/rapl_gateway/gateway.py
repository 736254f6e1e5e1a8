"""The objects that all routes share while the gateway runs."""

import asyncio
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from rapl_service.background import spawn
from rapl_service.calls.call import Service, open_http
from rapl_service.calls.remedies import START_SERVICES
from rapl_service.http.upload import UploadStorage
from starlette.requests import HTTPConnection

from rapl_gateway.backends.backend import Backends
from rapl_gateway.backends.catalog import ModelCatalog
from rapl_gateway.metrics import TranscriptionMetrics
from rapl_gateway.settings import Settings
from rapl_gateway.speakers.service import SpeakerService
from rapl_gateway.transcription.pipeline import Job, Pipeline
from rapl_gateway.transcription.preprocess import RetryingPreprocessClient
from rapl_gateway.word_lists import WordLists


class RunningJobs:
    """The transcriptions in progress. Clients choose request ids, so several jobs can have the same one."""

    def __init__(self) -> None:
        self._jobs: dict[str, dict[int, Job]] = {}
        """The jobs of each request id by their identity, in the order in which they were added."""

    @contextmanager
    def during(self, job: Job) -> Generator[None]:
        """A context in which the job is in progress."""
        jobs = self._jobs.setdefault(job.request_id, {})
        jobs[id(job)] = job
        try:
            yield
        finally:
            del jobs[id(job)]
            if not jobs:
                del self._jobs[job.request_id]

    def __len__(self) -> int:
        return sum(map(len, self._jobs.values()))

    def latest(self, request_id: str) -> Job | None:
        """The job with this request id that was added last, if there is one."""
        jobs = self._jobs.get(request_id, {})
        return next(reversed(jobs.values()), None)


@dataclass(frozen=True, slots=True)
class Gateway:
    settings: Settings
    catalog: ModelCatalog
    backends: Backends
    preprocess: RetryingPreprocessClient
    pipeline: Pipeline
    storage: UploadStorage
    words: WordLists
    metrics: TranscriptionMetrics | None = None
    speakers: SpeakerService | None = None
    """None if no speaker-service is configured."""
    json_turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while the JSON body of a request is parsed."""
    running: RunningJobs = field(default_factory=RunningJobs)
    started_at: float = field(default_factory=time.monotonic)


@asynccontextmanager
async def open_gateway(
    settings: Settings, catalog: ModelCatalog, metrics: TranscriptionMetrics | None
) -> AsyncGenerator[Gateway]:
    async with open_http() as http:
        service = Service("preprocess-service", settings.preprocess_url, START_SERVICES)
        preprocess = RetryingPreprocessClient(http, service, settings.restart_wait_s)
        backends = Backends(http, catalog, settings)
        words = WordLists(settings.catalog_file())
        speakers = SpeakerService(http, settings) if settings.speakers_url else None
        pipeline = Pipeline(preprocess, settings, speakers)
        storage = UploadStorage(settings.max_stored_upload_bytes)
        watches = [spawn(each.watch()) for each in (preprocess, words, speakers) if each]
        try:
            async with backends.watched():
                yield Gateway(settings, catalog, backends, preprocess, pipeline, storage, words, metrics, speakers)
        finally:
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)


def gateway_of(connection: HTTPConnection) -> Gateway:
    return connection.app.state.gateway
