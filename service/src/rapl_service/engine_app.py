"""The HTTP API of every engine."""

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ServiceError
from rapl_protocol.frames import CONTENT_TYPE
from rapl_protocol.models import ModelInfo, ModelList, ModelState
from rapl_protocol.transcriber import ModelHost, Transcriber
from rapl_protocol.transcript import TranscribeOptions
from rapl_protocol.wire import (
    MAX_TRANSCRIBE_BYTES,
    decode_transcribe_request,
    encode_error,
    encode_transcript_event,
    segment_too_long,
)
from starlette.middleware import Middleware

from rapl_service.http.app import service_app
from rapl_service.http.disconnect import cancel_on_disconnect
from rapl_service.http.scope import log_fields
from rapl_service.memory import process_bytes
from rapl_service.telemetry.engine_collector import EngineCollector
from rapl_service.telemetry.metrics import Metrics
from rapl_service.telemetry.settings import MetricsReaders


def transcriber_app(
    transcriber: Transcriber,
    middleware: Sequence[Middleware] = (),
    metrics_readers: MetricsReaders = "local",
    name: str = "engine",
) -> FastAPI:
    """The HTTP API of an engine for transcription: `engine_app`, and the route that transcribes."""
    app = engine_app(transcriber, middleware, metrics_readers, name)

    @app.post("/v1/transcribe")
    async def transcribe(request: Request) -> Response:
        wanted = decode_transcribe_request(await read_segment(request))
        options, audio = wanted.options, wanted.audio
        log_fields(request).update(model=options.model, audio_s=audio.duration_s)
        _require_capable(transcriber, options)
        if wanted.is_streamed:
            return StreamingResponse(_texts_and_transcript(transcriber, audio, options), media_type=CONTENT_TYPE)
        transcript = await cancel_on_disconnect(request, transcriber.transcribe(audio, options))
        return Response(transcript.model_dump_json(), media_type="application/json")

    return app


def engine_app(
    host: ModelHost,
    middleware: Sequence[Middleware] = (),
    metrics_readers: MetricsReaders = "local",
    name: str = "engine",
) -> FastAPI:
    """What every engine has: the routes models, load, unload, remove, live, ready and metrics."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        await host.start()
        try:
            yield
        finally:
            await host.close()

    own_version = version("rapl-service")
    metrics = None if metrics_readers == "off" else _metrics(host)
    app = service_app(
        "RAPL engine",
        lifespan,
        name=name,
        middleware=middleware,
        metrics=metrics,
        metrics_readers=metrics_readers,
    )

    @app.get("/v1/models")
    async def models() -> ModelList:
        found, memory_bytes = list(host.models()), process_bytes(os.getpid())
        return ModelList(models=found, memory_bytes=memory_bytes, version=own_version)

    @app.post("/v1/models/{model_id:path}/load")
    async def load(model_id: str) -> ModelInfo:
        return await host.load(model_id)

    @app.post("/v1/models/{model_id:path}/unload")
    async def unload(model_id: str) -> ModelInfo:
        return await host.unload(model_id)

    @app.delete("/v1/models/{model_id:path}")
    async def remove(model_id: str) -> ModelInfo:
        return await host.remove(model_id)

    @app.get("/health/live")
    async def live() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/health/ready")
    async def ready(model: str | None = None) -> JSONResponse:
        """200 if this model is ready; without a model, if any is. An orchestrator asks for the model that it serves."""
        states = {info.id: info.state.value for info in host.models()}
        is_ready = ModelState.READY in ([states.get(model)] if model else states.values())
        return JSONResponse({"status": "ok" if is_ready else "not ready", "models": states}, 200 if is_ready else 503)

    return app


def _metrics(host: ModelHost) -> Metrics:
    metrics = Metrics(lambda model: any(info.id == model for info in host.models()))
    metrics.registry.register(EngineCollector(host, metrics.models))
    return metrics


async def read_segment(request: Request) -> bytes:
    """The body of a request with a segment of audio.

    Raises:
        ServiceError: AUDIO_TOO_LARGE.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_TRANSCRIBE_BYTES:
            raise segment_too_long()
    return bytes(body)


async def _texts_and_transcript(
    transcriber: Transcriber, audio: WavAudio, options: TranscribeOptions
) -> AsyncGenerator[bytes, None]:
    """Yields a frame for each piece of text, then one with the transcript or the error."""
    texts: asyncio.Queue[str | None] = asyncio.Queue()
    work = asyncio.create_task(transcriber.transcribe(audio, options, texts.put_nowait))
    work.add_done_callback(lambda _: texts.put_nowait(None))
    try:
        while (text := await texts.get()) is not None:
            yield encode_transcript_event(text)
        yield encode_transcript_event(await work)
    except ServiceError as error:
        yield encode_error(error)
    finally:
        work.cancel()


def _require_capable(transcriber: Transcriber, options: TranscribeOptions) -> None:
    for info in transcriber.models():
        if info.id == options.model:
            info.capabilities.require(options)
