"""POST /v1/audio/transcriptions and /v1/audio/translations: the story of a request."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.models import ModelState
from rapl_service.http.disconnect import cancel_on_disconnect
from rapl_service.http.errors import logged_error_response
from rapl_service.http.scope import log_fields, request_id
from starlette.types import ASGIApp, Receive, Scope, Send

from rapl_gateway.admission import StartLimiter, admit, expected_s
from rapl_gateway.api.form import TranscriptionForm
from rapl_gateway.api.openapi import TRANSCRIPTION_ANSWERS, TRANSCRIPTION_REQUEST, TRANSLATION_REQUEST, errors
from rapl_gateway.api.rendering import account_headers, render
from rapl_gateway.api.sse import event_stream, next_text
from rapl_gateway.api.upload import received_form
from rapl_gateway.gateway import gateway_of
from rapl_gateway.timing import stopwatch_of
from rapl_gateway.transcription.pipeline import Job, Pipeline

FIRST_TEXT_S = 20.0
"""How long a stream waits for its first text before it begins: until then a failure has its own HTTP status."""

router = APIRouter()


class Progress(BaseModel):
    """Of a transcription, in seconds of audio."""

    done_s: float
    duration_s: float | None
    """As the file announces it; None where it does not."""


@router.post("/v1/audio/transcriptions", openapi_extra=TRANSCRIPTION_REQUEST, responses=TRANSCRIPTION_ANSWERS)
async def create_transcription(request: Request) -> Response:
    return await _answer(request, translate=False)


@router.post("/v1/audio/translations", openapi_extra=TRANSLATION_REQUEST, responses=TRANSCRIPTION_ANSWERS)
async def create_translation(request: Request) -> Response:
    return await _answer(request, translate=True)


class DirectRoutes:
    """ASGI middleware: the two routes above without what FastAPI does around each request, of which they use nothing: a
    tenth of the gateway's own time. FastAPI's only describe them in /openapi.json, and answer other methods."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._doorway = StartLimiter()
        self._endpoints = {
            ("POST", "/v1/audio/transcriptions"): create_transcription,
            ("POST", "/v1/audio/translations"): create_translation,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._endpoints.get((scope.get("method", ""), scope["path"]))  # a WebSocket has no method
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        await self._doorway.enter()
        request = Request(scope, receive)
        try:
            response = await endpoint(request)
        except ServiceError as error:
            response = logged_error_response(request, error)
        await response(scope, receive, send)


@router.get("/v1/progress/{request_id}", responses=errors(401, 404))
async def progress(request_id: str, request: Request) -> Progress:
    """How far a transcription is that was sent with this `x-request-id` and is at work."""
    job = gateway_of(request).running.get(request_id)
    if job is None:
        raise ServiceError(ErrorCode.NOT_FOUND, "no transcription with this request id is at work")
    return Progress(done_s=round(job.result.done_s, 3), duration_s=job.result.announced_s)


async def _answer(request: Request, *, translate: bool) -> Response:
    gateway, stopwatch = gateway_of(request), stopwatch_of(request)
    share = await admit(request, gateway.backends)
    fields = await received_form(request, gateway.settings.max_upload_bytes, stopwatch)
    with ExitStack() as upload:
        upload.callback(fields.close)
        form = TranscriptionForm.parse(fields, gateway.settings.speech_detection, translate=translate)
        route = gateway.catalog.resolve(form.model, gateway.backends.discovered())
        log_fields(request).update(model=route.model, backend=route.backend)
        options, backend = (
            form.options(route.engine_model),
            gateway.backends.seat(route, share, expected_s(form.file.size_bytes)),
        )
        upload.enter_context(backend.taken())
        info = gateway.backends[route.backend].info(route.engine_model)
        is_ready = info is not None and info.state is ModelState.READY
        media, rid = form.file.content(), request_id(request)
        job = Job(media, form.prepare, options, backend, rid, stopwatch, form.stream, is_ready)
        gateway.running[job.request_id] = job
        upload.callback(gateway.running.pop, job.request_id, None)
        if form.stream:
            return await _streamed(gateway.pipeline, job, upload.pop_all())
        return await _whole(gateway.pipeline, job, form, request)


async def _whole(pipeline: Pipeline, job: Job, form: TranscriptionForm, request: Request) -> Response:
    await cancel_on_disconnect(request, _finished(pipeline, job))
    log_fields(request).update(audio_s=job.result.duration_s, **job.stopwatch.log_fields())
    with job.stopwatch.stage("render"):
        response = render(job.result, form)
        response.headers.update(account_headers(job.result) | job.backend.client.headers())
        return response


async def _finished(pipeline: Pipeline, job: Job) -> None:
    async with aclosing(pipeline.texts(job)) as texts:
        async for _ in texts:
            pass


async def _streamed(pipeline: Pipeline, job: Job, upload: ExitStack) -> Response:
    texts = pipeline.texts(job)
    first = next_text(texts)
    done, _ = await asyncio.wait({first}, timeout=FIRST_TEXT_S)
    if done and first.exception():
        upload.close()
        first.result()
    return _EventStream(event_stream(first, texts, job.result), upload, job.backend.client.headers())


class _EventStream(StreamingResponse):
    """Events as they come. However it ends, as by a client that leaves, the work ends and the upload is given back."""

    def __init__(self, events: AsyncGenerator[str, None], upload: ExitStack, more: dict[str, str]) -> None:
        headers = {**more, "cache-control": "no-cache", "x-accel-buffering": "no"}
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._events = events
        self._upload = upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._upload:
            async with aclosing(self._events):
                await super().__call__(scope, receive, send)
