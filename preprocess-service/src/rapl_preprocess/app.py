"""Puts the service together."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated

from fastapi import FastAPI, Query, Request, Response
from rapl_protocol.audio import BYTES_PER_SECOND
from rapl_protocol.http import RequestMiddleware, install_error_handlers, log_fields, request_id
from rapl_protocol.prepared import MAX_SEGMENT_S, PrepareOptions

from rapl_preprocess.answer import answer
from rapl_preprocess.prepare import Job, prepare_in_batches
from rapl_preprocess.settings import Settings
from rapl_preprocess.silero import SpeechModel
from rapl_preprocess.speech_check import check_speech
from rapl_preprocess.threads import DecodeThreads
from rapl_preprocess.upload import receive_media

MAX_CLIP_BYTES = int(MAX_SEGMENT_S * BYTES_PER_SECOND) + (1 << 16)
"""Of a clip that is asked about: its samples, and room for its headers."""


def create_app(settings: Settings) -> FastAPI:
    """The service; while it runs it owns its threads, and gives them back when it ends."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with (
            DecodeThreads(settings.workers) as decoding,
            ThreadPoolExecutor(1, "upload") as writer,
            ThreadPoolExecutor(settings.workers, "listen") as listening,
        ):
            app.state.decoding, app.state.writer, app.state.listening = decoding, writer, listening
            app.state.model = SpeechModel.load()
            yield

    app = FastAPI(title="RAPL preprocess-service", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    install_error_handlers(app)
    app.add_middleware(RequestMiddleware)

    @app.post("/v1/prepare")
    async def prepare(request: Request, options: Annotated[PrepareOptions, Query()]) -> Response:
        media = await receive_media(request, settings.max_upload_bytes, app.state.writer)
        job = Job(media, options, settings.max_duration_s, request_id(request))
        work = partial(prepare_in_batches, job, app.state.model)
        return await answer(app.state.decoding.items(work), log_fields(request))

    @app.post("/v1/speech")
    async def speech(request: Request, options: Annotated[PrepareOptions, Query()]) -> Response:
        media = await receive_media(request, MAX_CLIP_BYTES, app.state.writer)
        work = partial(check_speech, media, app.state.model, options)
        check = await asyncio.get_running_loop().run_in_executor(app.state.listening, work)
        log_fields(request)["speech_s"] = f"{check.speech_s:.2f}"
        return Response(check.model_dump_json(), media_type="application/json")

    @app.get("/health/live")
    @app.get("/health/ready")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    return app
