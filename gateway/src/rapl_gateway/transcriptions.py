"""POST /v1/audio/transcriptions: the story of a request."""

from fastapi import APIRouter, Request, Response
from rapl_protocol.http import log_fields, request_id

from rapl_gateway.form import TranscriptionForm
from rapl_gateway.gateway import gateway_of
from rapl_gateway.rendering import render
from rapl_gateway.timing import Stopwatch
from rapl_gateway.upload import content, received_form

router = APIRouter()


@router.post("/v1/audio/transcriptions")
async def create_transcription(request: Request) -> Response:
    gateway, stopwatch = gateway_of(request), Stopwatch()
    async with received_form(request, gateway.settings.max_upload_bytes, stopwatch) as fields:
        form = TranscriptionForm.parse(fields)
        route = gateway.catalog.resolve(form.model, gateway.backends.discovered())
        log_fields(request).update(model=route.model, backend=route.backend)
        transcript = await gateway.pipeline.transcribe(
            content(form.file),
            form.options(route.engine_model),
            gateway.backends[route.backend],
            stopwatch,
            request_id(request),
        )
    log_fields(request).update(audio_s=f"{transcript.duration_s:.2f}", **stopwatch.log_fields())
    with stopwatch.stage("render"):
        response = render(transcript, form.response_format, form.granularities)
    response.headers["server-timing"] = stopwatch.header()
    return response
