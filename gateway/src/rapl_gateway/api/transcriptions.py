"""POST /v1/audio/transcriptions and /v1/audio/translations, and the progress of a transcription."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, ExitStack, aclosing
from functools import partial

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.models import ModelState
from rapl_service.http.disconnect import cancel_on_disconnect
from rapl_service.http.errors import logged_error_response
from rapl_service.http.scope import ROUTE, log_fields, request_id
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from rapl_gateway.admission import StartLimiter, admit, expected_s
from rapl_gateway.api.compatible.dialect import Dialect
from rapl_gateway.api.form.replacements import requested_replacements
from rapl_gateway.api.form.transcription_form import TranscriptionForm
from rapl_gateway.api.openapi import TRANSCRIPTION_ANSWERS, TRANSCRIPTION_REQUEST, TRANSLATION_REQUEST, errors
from rapl_gateway.api.rendering import coverage_headers
from rapl_gateway.api.sse import cancelled, event_stream, next_text
from rapl_gateway.api.subtitles.rules import SubtitleOptions
from rapl_gateway.api.upload import Form, received_form
from rapl_gateway.backends.catalog import Route
from rapl_gateway.gateway import Gateway, gateway_of
from rapl_gateway.metrics import TranscriptionMetrics
from rapl_gateway.speakers.known import SpeakerRequest
from rapl_gateway.speakers.service import not_configured
from rapl_gateway.timing import Stage, stopwatch_of
from rapl_gateway.transcription.pipeline import Job, Pipeline
from rapl_gateway.transcription.result import REASON_NAMES, TranscriptBuilder
from rapl_gateway.transcription.segment_task import INTERACTIVE_S

FIRST_TEXT_S = 20.0
"""Seconds that a streamed response waits for its first text before it begins. An error in this time is sent with its
own HTTP status."""

LONG_S = 60.0
"""The response to longer audio is made in a thread: to divide an hour of speech into cues takes 0.2 s."""

router = APIRouter()


class Progress(BaseModel):
    """Progress of a transcription, in seconds of audio."""

    done_s: float
    duration_s: float | None
    """Duration that the file states; None if it states none."""


@router.post("/v1/audio/transcriptions", openapi_extra=TRANSCRIPTION_REQUEST, responses=TRANSCRIPTION_ANSWERS)
async def create_transcription(request: Request) -> Response:
    return await respond(request, Dialect(_transcribes))


@router.post("/v1/audio/translations", openapi_extra=TRANSLATION_REQUEST, responses=TRANSCRIPTION_ANSWERS)
async def create_translation(request: Request) -> Response:
    return await respond(request, Dialect(_translates))


async def _transcribes(_: Request, __: Form) -> bool:
    return False


async def _translates(_: Request, __: Form) -> bool:
    return True


class DirectRoutes:
    """ASGI middleware: calls the two routes above directly, without FastAPI.

    FastAPI's work on each request is a tenth of the gateway's time, and these routes use none of it. FastAPI still
    describes them in /openapi.json and responds to other methods.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._start_limiter = StartLimiter()
        self._endpoints = {
            ("POST", "/v1/audio/transcriptions"): create_transcription,
            ("POST", "/v1/audio/translations"): create_translation,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._endpoints.get((scope.get("method", ""), scope["path"]))  # a WebSocket has no method
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        await self._start_limiter.start()
        request = Request(scope, receive)
        log_fields(request)[ROUTE] = scope["path"]
        try:
            response = await endpoint(request)
        except ServiceError as error:
            response = logged_error_response(request, error)
        with stopwatch_of(request).stage(Stage.SEND):
            await response(scope, receive, send)


@router.get("/v1/progress/{request_id}", responses=errors(401, 404))
async def progress(request_id: str, request: Request) -> Progress:
    """Returns the progress of the running transcription with this `x-request-id`; of several, of the latest."""
    job = gateway_of(request).running.latest(request_id)
    if job is None:
        raise ServiceError(ErrorCode.NOT_FOUND, "no transcription with this request id is in progress")
    return Progress(done_s=round(job.result.done_s, 3), duration_s=job.result.announced_s)


async def respond(request: Request, dialect: Dialect) -> Response:
    """Transcribes the file of a request and returns the response.

    Args:
        request: its body is a form, as `received_form` reads it.
        dialect: the API to which the request belongs.

    Raises:
        ServiceError: of every kind.
    """
    gateway, stopwatch = gateway_of(request), stopwatch_of(request)
    client_id = await admit(request, gateway.backends)
    fields = await received_form(
        request, gateway.settings.max_upload_bytes, gateway.storage, stopwatch, gateway.json_turn
    )
    with ExitStack() as stack:
        stack.callback(fields.close)
        translate = await dialect.adapt(request, fields)
        subtitles = SubtitleOptions.of(gateway.settings)
        form = TranscriptionForm.parse(fields, gateway.settings.speech_switch, subtitles, translate=translate)
        replacements = requested_replacements(fields.fields, gateway.words.replacements_of(client_id))
        route = gateway.catalog.resolve(form.model, gateway.backends.discovered())
        log_fields(request).update(model=route.model, backend=route.backend)
        speakers = _speaker_request(gateway, form, route)
        reservation = gateway.backends.reserve(route, client_id, expected_s(form.file.size_bytes), stopwatch)
        stack.enter_context(reservation.held())
        info = gateway.backends[route.backend].info(route.engine_model)
        job = Job(
            media=form.file.content(),
            prepare=form.prepare,
            options=gateway.words.with_keywords(
                form.options(route.engine_model, cuts_by_words=speakers is not None and speakers.has_word_times),
                client_id,
            ),
            reservation=reservation,
            request_id=request_id(request),
            stopwatch=stopwatch,
            is_streamed=form.stream,
            is_model_ready=info is not None and info.state is ModelState.READY,
            interactive_s=INTERACTIVE_S if speakers is None else 0.0,  # all others go first
            speakers=speakers,
            result=TranscriptBuilder(replacements),
        )
        stack.enter_context(gateway.running.during(job))
        stack.callback(_log_result, request, job.result, gateway.metrics)
        if form.stream:
            return await _streamed(gateway, job, request, stack.pop_all())
        return await _whole(gateway, job, form, request, dialect)


def _speaker_request(gateway: Gateway, form: TranscriptionForm, route: Route) -> SpeakerRequest | None:
    """Returns what the request wants to know about its speakers; None if it does not ask for them.

    Raises:
        ServiceError: UNSUPPORTED_PARAMETER, if no speaker-service is configured.
    """
    if form.speakers is None:
        return None
    if gateway.speakers is None:
        raise not_configured(form.speakers.param)
    return SpeakerRequest(form.speakers.known, form.speakers.count, gateway.backends.give_word_times(route))


def _engine_headers(gateway: Gateway, job: Job) -> dict[str, str]:
    """Returns which model was used instead of the requested one, and which fields have no effect with the one used."""
    headers, route = job.reservation.client.headers(), job.reservation.client.target.route
    info = gateway.backends[route.backend].info(route.engine_model)
    ignored = info.capabilities.ignored(job.options) if info else ()
    return headers | ({"x-rapl-ignored": ", ".join(ignored)} if ignored else {})


async def _whole(gateway: Gateway, job: Job, form: TranscriptionForm, request: Request, dialect: Dialect) -> Response:
    await cancel_on_disconnect(request, _finished(gateway.pipeline, job, dialect))
    with job.stopwatch.stage(Stage.RENDER):
        rendered = partial(dialect.render, job.result, form)
        response = await run_in_threadpool(rendered) if job.result.duration_s > LONG_S else rendered()
        response.headers.update(coverage_headers(job.result) | _engine_headers(gateway, job))
        return response


def _log_result(request: Request, result: TranscriptBuilder, metrics: TranscriptionMetrics | None) -> None:
    """Logs and counts the result when the response has been made or, if it is streamed, when it has been sent."""
    fields = log_fields(request)
    fields["audio_s"] = result.duration_s or result.done_s  # a request that fails has no duration yet
    if result.media.damage:
        fields["damaged_s"] = result.media.damaged_s
    if metrics and result.duration_s:
        retried = [REASON_NAMES[each.reason] for each in result.retried]
        problems = [REASON_NAMES[each.reason] for each in result.problems]
        metrics.observe_result(result.coverage, retried, problems, result.media.damaged_s)


def _log_failure(request: Request, error: ServiceError) -> None:
    log_fields(request)["error"] = error.code.value


async def _finished(pipeline: Pipeline, job: Job, dialect: Dialect) -> None:
    async with aclosing(pipeline.texts(job)) as texts:
        async for _ in texts:
            if dialect.is_enough(job.result):
                return


async def _streamed(gateway: Gateway, job: Job, request: Request, upload: ExitStack) -> Response:
    async with AsyncExitStack() as work:
        work.enter_context(upload)
        texts = gateway.pipeline.texts(job)
        work.push_async_callback(texts.aclose)
        first = next_text(texts)
        work.push_async_callback(cancelled, first)
        done, _ = await cancel_on_disconnect(request, asyncio.wait({first}, timeout=FIRST_TEXT_S))
        if done:
            first.result()
        events = event_stream(
            first, texts, job.result, partial(_log_failure, request), with_logprobs=job.options.logprobs
        )
        return _EventStream(events, work.pop_all(), _engine_headers(gateway, job))


class _EventStream(StreamingResponse):
    """Sends events as they arrive. When the response ends, also by a disconnect before the first event, the work is
    cancelled and the upload is deleted."""

    def __init__(self, events: AsyncGenerator[str, None], work: AsyncExitStack, more: dict[str, str]) -> None:
        headers = {**more, "cache-control": "no-cache", "x-accel-buffering": "no"}
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._events = events
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._work, aclosing(self._events):
            await super().__call__(scope, receive, send)
