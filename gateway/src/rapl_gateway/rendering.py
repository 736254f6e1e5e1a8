"""The only place that knows OpenAI's response formats."""

import math
import zlib
from typing import Any

from fastapi.responses import JSONResponse, PlainTextResponse, Response
from rapl_protocol.transcript import Segment, Transcript

from rapl_gateway.form import Granularity, ResponseFormat
from rapl_gateway.languages import NAMES
from rapl_gateway.subtitles import to_srt, to_vtt

UNKNOWN_LANGUAGE = "unknown"
"""What verbose_json says where no engine named a language: the field may not be missing, and must not be invented."""


def render(transcript: Transcript, response_format: ResponseFormat, granularities: frozenset[Granularity]) -> Response:
    """Writes a transcript as OpenAI's server would."""
    match response_format:
        case ResponseFormat.JSON:
            return JSONResponse({"text": transcript.text, "usage": _usage(transcript)})
        case ResponseFormat.TEXT:
            return PlainTextResponse(transcript.text + "\n")
        case ResponseFormat.SRT:
            return PlainTextResponse(to_srt(transcript.segments))
        case ResponseFormat.VTT:
            return PlainTextResponse(to_vtt(transcript.segments))
        case ResponseFormat.VERBOSE_JSON:
            return JSONResponse(_verbose(transcript, granularities))


def _usage(transcript: Transcript) -> dict[str, Any]:
    """OpenAI counts whole seconds, rounded up."""
    return {"type": "duration", "seconds": math.ceil(transcript.duration_s)}


def _verbose(transcript: Transcript, granularities: frozenset[Granularity]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "task": "transcribe",
        "language": _language_name(transcript.language),
        "duration": round(transcript.duration_s, 3),
        "text": transcript.text,
    }
    if Granularity.SEGMENT in granularities:
        body["segments"] = [_segment(number, segment) for number, segment in enumerate(transcript.segments)]
    if Granularity.WORD in granularities:
        body["words"] = [
            {"word": word.word, "start": round(word.start_s, 3), "end": round(word.end_s, 3)}
            for segment in transcript.segments
            for word in segment.words or ()
        ]
    return body | {"usage": _usage(transcript)}


def _segment(number: int, segment: Segment) -> dict[str, Any]:
    """All ten fields, because strict clients refuse the whole answer without them; then our own.

    `tokens`, `avg_logprob` and `no_speech_prob` are empty or 0 because the engines give none: README says so.
    """
    text = segment.text.encode()
    return {
        "id": number,
        "seek": round(segment.start_s * 100),
        "start": round(segment.start_s, 3),
        "end": round(segment.end_s, 3),
        "text": segment.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": 0.0,
        "compression_ratio": round(len(text) / len(zlib.compress(text)), 3),
        "no_speech_prob": 0.0,
        "language": segment.language,
        "emotion": segment.emotion,
        "events": list(segment.events),
    }


def _language_name(code: str | None) -> str:
    return NAMES.get(code, code) if code else UNKNOWN_LANGUAGE
