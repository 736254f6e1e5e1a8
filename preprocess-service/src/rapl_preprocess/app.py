"""The HTTP application: its routes, its threads and its decoding processes."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Annotated

import anyio
from fastapi import FastAPI, Query, Request, Response, WebSocket
from rapl_protocol.audio import BYTES_PER_SECOND, WavAudio
from rapl_protocol.intervals import total_s
from rapl_protocol.live_audio import LIVE_PATH
from rapl_protocol.models import ServiceHealth
from rapl_protocol.prepared import MAX_SEGMENT_S, PrepareOptions
from rapl_service.http.app import service_app
from rapl_service.http.scope import log_fields
from rapl_service.http.upload import Upload
from rapl_service.http.websocket import WebSocketPaths
from rapl_service.telemetry.metrics import Metrics
from starlette.middleware import Middleware

from rapl_preprocess.batches import in_batches
from rapl_preprocess.live.collector import LiveCollector
from rapl_preprocess.live.detection import LiveDetection
from rapl_preprocess.live.route import serve_live_audio
from rapl_preprocess.media.containers import undecodable
from rapl_preprocess.prepare import prepare_canonical
from rapl_preprocess.response import Batches, batch_response
from rapl_preprocess.settings import Settings
from rapl_preprocess.speech.check import check_speech
from rapl_preprocess.speech.silero import SpeechModel
from rapl_preprocess.threads import iterate_in_threads
from rapl_preprocess.upload import receive_media
from rapl_preprocess.workers.collector import DecoderCollector
from rapl_preprocess.workers.pool import Decoders

MAX_CLIP_BYTES = int(MAX_SEGMENT_S * BYTES_PER_SECOND) + (1 << 16)
"""Largest canonical WAV of one segment: MAX_SEGMENT_S of samples, and 64 KiB for the headers."""


def create_app(settings: Settings) -> FastAPI:
    """Returns the application. Its threads and decoding processes start and stop with it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with ThreadPoolExecutor(settings.workers, "detect") as detecting:
            model = SpeechModel.load()
            async with Decoders(settings) as decoders, LiveDetection.running(model.network) as live:
                app.state.detecting, app.state.decoders, app.state.live = detecting, decoders, live
                app.state.model = model
                if metrics:
                    metrics.registry.register(DecoderCollector(decoders))
                    metrics.registry.register(LiveCollector(live))
                # Loads code that takes 45 ms; otherwise the first streamed response would load it.
                async with anyio.create_task_group():
                    pass
                yield

    metrics = None if settings.metrics == "off" else Metrics(is_known_model=lambda _: False)
    app = service_app(
        "RAPL preprocess-service",
        lifespan,
        middleware=[Middleware(WebSocketPaths, paths=[LIVE_PATH])],
        name="preprocess-service",
        metrics=metrics,
        metrics_readers=settings.metrics,
    )

    def batches(upload: Upload, options: PrepareOptions) -> Batches:
        _require_content(upload)
        ready = _canonical_clip(upload) if options.audio_track is None else None
        if ready is None:
            return app.state.decoders.batches(upload, options, "prepare")
        events = prepare_canonical(ready, options, settings.max_duration_s, app.state.model)
        return iterate_in_threads(in_batches(events), app.state.detecting)

    @app.post("/v1/prepare")
    async def prepare(request: Request, options: Annotated[PrepareOptions, Query()]) -> Response:
        with await receive_media(request, settings.max_upload_bytes) as upload:
            return await batch_response(request, batches(upload, options))

    @app.post("/v1/clip")
    async def clip(request: Request, options: Annotated[PrepareOptions, Query()]) -> Response:
        with await receive_media(request, settings.max_upload_bytes) as upload:
            _require_content(upload)
            return await batch_response(request, app.state.decoders.batches(upload, options, "clip"))

    @app.post("/v1/speech")
    async def speech(request: Request, options: Annotated[PrepareOptions, Query()]) -> Response:
        with await receive_media(request, MAX_CLIP_BYTES) as upload:
            work = partial(check_speech, upload.content(), app.state.model, options)
            check = await asyncio.get_running_loop().run_in_executor(app.state.detecting, work)
        log_fields(request)["speech_s"] = total_s(check.speech)
        return Response(check.model_dump_json(), media_type="application/json")

    @app.websocket(LIVE_PATH)
    async def live(websocket: WebSocket) -> None:
        await serve_live_audio(websocket, app.state.live, settings.max_live_sessions)

    _add_health(app)
    return app


def _add_health(app: FastAPI) -> None:
    own_version = version("rapl-service")

    @app.get("/health/live")
    async def live() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/health/ready")
    async def ready() -> ServiceHealth:
        return ServiceHealth(status="ok", version=own_version)


def _require_content(upload: Upload) -> None:
    if not upload.size_bytes:
        raise undecodable("The uploaded file is empty.")


def _canonical_clip(upload: Upload) -> WavAudio | None:
    """Returns the upload's audio if it is a canonical WAV of one segment at most. This is safe without a decoder."""
    if upload.file or upload.size_bytes > MAX_CLIP_BYTES:
        return None
    try:
        audio = WavAudio.from_wav(upload.content())
    except ValueError:
        return None
    return audio if audio.duration_s <= MAX_SEGMENT_S else None
