"""POST /inference, as whisper.cpp's server has it.

Source: https://github.com/ggml-org/whisper.cpp, examples/server/server.cpp; the requests of its clients. Errors are
those of the other routes.
"""

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from rapl_protocol.errors import ErrorCode, ServiceError

from rapl_gateway.api.compatible.dialect import Dialect, flag, segments_with_words, use_as_file
from rapl_gateway.api.form.transcription_form import ResponseFormat, TranscriptionForm
from rapl_gateway.api.openapi import INFERENCE_REQUEST, TRANSCRIPTION_ANSWERS
from rapl_gateway.api.rendering import render, verbose_fields
from rapl_gateway.api.transcriptions import respond
from rapl_gateway.api.upload import Form
from rapl_gateway.transcription.result import TranscriptBuilder

_OF_A_PART = ("offset_t", "offset_n", "duration")
_MEDIA_TYPES = {ResponseFormat.SRT: "application/x-subrip", ResponseFormat.VTT: "text/vtt; charset=utf-8"}

router = APIRouter()


@router.post("/inference", openapi_extra=INFERENCE_REQUEST, responses=TRANSCRIPTION_ANSWERS)
async def inference(request: Request) -> Response:
    return await respond(request, Dialect(_adapted, _rendered))


async def _adapted(_: Request, form: Form) -> bool:
    use_as_file(form, "file")
    for name in _OF_A_PART:
        if form.fields.pop(name, ["0"])[-1].strip() not in ("", "0"):
            raise _unsupported(name, f"'{name}' is not supported: the whole file is transcribed.")
    for name in ("diarize", "tinydiarize"):
        if flag(form, name):
            raise _unsupported(name, f"'{name}' is not supported here: /v1/audio/transcriptions tells speakers apart.")
    if flag(form, "detect_language"):
        form.fields.pop("language", None)
    if flag(form, "token_timestamps"):
        form.fields["timestamp_granularities[]"] = ["segment", "word"]
    form.fields.pop("stream", None)
    return flag(form, "translate")


def _rendered(result: TranscriptBuilder, form: TranscriptionForm) -> Response:
    match form.response_format:
        case ResponseFormat.JSON:
            return JSONResponse({"text": result.transcript().text})
        case ResponseFormat.VERBOSE_JSON:
            transcript = result.transcript()
            segments = list(segments_with_words(transcript.segments))
            return JSONResponse(verbose_fields(transcript, form) | {"segments": segments})
        case other:
            response = render(result, form)
            if media_type := _MEDIA_TYPES.get(other):
                response.headers["content-type"] = media_type
            return response


def _unsupported(field: str, message: str) -> ServiceError:
    return ServiceError(ErrorCode.UNSUPPORTED_PARAMETER, message, param=field)
