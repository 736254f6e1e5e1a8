"""The objects that all routes share while the gateway runs."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from fastapi import Request
from rapl_service.background import spawn
from rapl_service.calls.call import Service, open_http
from rapl_service.http.upload import UploadStorage

from rapl_gateway.backends.backend import Backends
from rapl_gateway.backends.catalog import ModelCatalog
from rapl_gateway.settings import Settings
from rapl_gateway.transcription.pipeline import Job, Pipeline
from rapl_gateway.transcription.preprocess import RetryingPreprocessClient


@dataclass(frozen=True, slots=True)
class Gateway:
    settings: Settings
    catalog: ModelCatalog
    backends: Backends
    preprocess: RetryingPreprocessClient
    pipeline: Pipeline
    storage: UploadStorage
    running: dict[str, Job] = field(default_factory=dict[str, Job])
    """The transcriptions in progress, by request id."""


@asynccontextmanager
async def open_gateway(settings: Settings, catalog: ModelCatalog) -> AsyncGenerator[Gateway]:
    async with open_http() as http:
        remedy = "Start it with `docker compose up` or `./rapl up`."
        service = Service("preprocess-service", settings.preprocess_url, remedy)
        preprocess = RetryingPreprocessClient(http, service, settings.restart_wait_s)
        backends = Backends(http, catalog, settings)
        watch = spawn(preprocess.watch())
        try:
            async with backends.watched():
                pipeline, storage = Pipeline(preprocess, settings), UploadStorage(settings.max_stored_upload_bytes)
                yield Gateway(settings, catalog, backends, preprocess, pipeline, storage)
        finally:
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch


def gateway_of(request: Request) -> Gateway:
    return request.app.state.gateway
