"""POST /asr and /detect-language, as whisper-asr-webservice has them. Bazarr uses them.

Source: https://github.com/ahmetoner/whisper-asr-webservice, app/webservice.py; the requests of its clients.
"""

from collections.abc import AsyncGenerator

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic_core import to_json
from rapl_protocol.audio import WavAudio
from rapl_protocol.transcript import Segment
from rapl_service.http.upload import Upload

from rapl_gateway.api.compatible.dialect import Dialect, choice, flag, segments_with_words, use_as_file
from rapl_gateway.api.form.fields import invalid
from rapl_gateway.api.form.transcription_form import TranscriptionForm
from rapl_gateway.api.openapi import ASR_REQUEST, DETECT_LANGUAGE_REQUEST, TRANSCRIPTION_ANSWERS
from rapl_gateway.api.rendering import render
from rapl_gateway.api.transcriptions import respond
from rapl_gateway.api.upload import IN_MEMORY_BYTES, Form
from rapl_gateway.languages import NAMES
from rapl_gateway.transcription.result import TranscriptBuilder

_OUTPUTS = ("txt", "vtt", "srt", "tsv", "json")
_COPY_BYTES = 1 << 20

router = APIRouter()


@router.post("/asr", openapi_extra=ASR_REQUEST, responses=TRANSCRIPTION_ANSWERS)
async def transcribe(request: Request) -> Response:
    output = request.query_params.get("output") or "txt"
    renderers = {"txt": _text, "tsv": _table, "json": _json}
    return await respond(request, Dialect(_adapted, renderers.get(output, render)))


@router.post("/detect-language", openapi_extra=DETECT_LANGUAGE_REQUEST, responses=TRANSCRIPTION_ANSWERS)
async def detect_language(request: Request) -> Response:
    return await respond(request, Dialect(_adapted_for_detection, _language, _has_language))


async def _adapted(request: Request, form: Form) -> bool:
    for name, text in request.query_params.multi_items():
        form.fields.setdefault(name, []).append(text)
    use_as_file(form, "audio_file")
    if not flag(form, "encode", default=True):
        await _add_header(form)
    output = choice(form, "output", _OUTPUTS, "txt")
    form.fields["response_format"] = [output if output in ("srt", "vtt") else "verbose_json"]
    if flag(form, "word_timestamps") and output == "json":
        form.fields["timestamp_granularities[]"] = ["segment", "word"]
    if prompt := form.fields.pop("initial_prompt", None):
        form.fields["prompt"] = prompt
    form.fields.pop("stream", None)
    return choice(form, "task", ("transcribe", "translate"), "transcribe") == "translate"


async def _adapted_for_detection(request: Request, form: Form) -> bool:
    await _adapted(request, form)
    form.fields.pop("language", None)
    return False


async def _add_header(form: Form) -> None:
    """Replaces the file, raw samples (16 kHz mono s16le), by a WAV file."""
    raw = form.files["file"]
    form.files["file"] = wav = Upload(IN_MEMORY_BYTES, form.storage)
    try:
        async for piece in _wav_pieces(raw):
            wav.add(piece)
            await wav.spool()
        await wav.end()
    finally:
        raw.close()


async def _wav_pieces(raw: Upload) -> AsyncGenerator[bytes, None]:
    samples = memoryview(raw.content() if raw.size_bytes else b"")
    samples = samples[: len(samples) // 2 * 2]
    yield WavAudio(samples).wav_header()
    for at in range(0, len(samples), _COPY_BYTES):
        yield bytes(samples[at : at + _COPY_BYTES])


def _segments(result: TranscriptBuilder) -> list[Segment]:
    return [segment for segment in result.transcript().segments if segment.text.strip()]


def _text(result: TranscriptBuilder, _: TranscriptionForm) -> Response:
    return PlainTextResponse("".join(f"{segment.text.strip()}\n" for segment in _segments(result)))


def _table(result: TranscriptBuilder, _: TranscriptionForm) -> Response:
    lines = [
        f"{round(each.start_s * 1000)}\t{round(each.end_s * 1000)}\t{' '.join(each.text.split())}\n"
        for each in _segments(result)
    ]
    return PlainTextResponse("".join(["start\tend\ttext\n", *lines]))


def _json(result: TranscriptBuilder, _: TranscriptionForm) -> Response:
    transcript = result.transcript()
    segments = list(segments_with_words(transcript.segments))
    body = {"text": transcript.text, "segments": segments, "language": transcript.language}
    return PlainTextResponse(to_json(body))  # its clients expect this type


def _has_language(result: TranscriptBuilder) -> bool:
    return bool(result.languages)


def _language(result: TranscriptBuilder, _: TranscriptionForm) -> Response:
    """Returns the language of the first speech. No engine reports how sure it is, so `confidence` is null."""
    if not result.languages:
        raise invalid(
            "audio_file", "no language was detected: the audio has no speech, or the model does not report it"
        )
    code = result.languages[0]
    return JSONResponse({"detected_language": NAMES.get(code, code), "language_code": code, "confidence": None})
