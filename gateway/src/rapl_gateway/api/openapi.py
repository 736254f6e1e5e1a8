"""The parts of the OpenAPI document (`/openapi.json`) for requests and responses that routes handle themselves."""

from typing import Any

from pydantic import BaseModel
from rapl_protocol.errors import HTTP_STATUS
from rapl_protocol.speakers import MAX_SPEAKERS

from rapl_gateway.api.form.speakers import MAX_KNOWN
from rapl_gateway.api.form.transcription_form import MAX_AUDIO_TRACK, Granularity, Include, ResponseFormat
from rapl_gateway.api.subtitles.rules import RULE_LIMITS, WHOLE_NUMBERS, SubtitleUnit


class ErrorDetails(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorEnvelope(BaseModel):
    """OpenAI's error response."""

    error: ErrorDetails


_STRINGS = {"type": "array", "items": {"type": "string"}}
_TRANSCRIPTION_FIELDS: dict[str, Any] = {
    "file": {
        "type": "string",
        "format": "binary",
        "description": "Audio or video, in any format that FFmpeg reads.",
    },
    "model": {"type": "string", "description": "A model of GET /v1/models; the default model if empty."},
    "language": {
        "type": "string",
        "description": "ISO 639 code, such as `en`, or a tag such as `zh-CN`. Detected if empty.",
    },
    "languages[]": {
        **_STRINGS,
        "description": "The languages that may be spoken: one of them is detected.",
    },
    "prompt": {"type": "string", "description": "Context for the model, if it uses a prompt."},
    "keywords[]": {**_STRINGS, "description": "Likely names and terms, if the model uses them."},
    "response_format": {"enum": [each.value for each in ResponseFormat], "default": "json"},
    "temperature": {"type": "number", "minimum": 0, "maximum": 1},
    "itn": {"type": "boolean", "description": "RAPL's own: numerals and punctuation, if the model has the switch."},
    "timestamp_granularities[]": {"type": "array", "items": {"enum": [each.value for each in Granularity]}},
    "stream": {"type": "boolean", "default": False},
    "include[]": {"type": "array", "items": {"enum": [each.value for each in Include]}},
    "audio_track": {
        "type": "integer",
        "minimum": 0,
        "maximum": MAX_AUDIO_TRACK,
        "description": "RAPL's own: the audio track to read, from 0; chosen by RAPL if empty.",
    },
    "replacements": {
        "type": "string",
        "description": "RAPL's own: `off`, or a JSON object with phrases and what takes their place in the transcript.",
    },
    "subtitle_rules": {
        "enum": ["on", "off"],
        "description": "RAPL's own: whether `srt` and `vtt` keep the rules below, or have the engine's own segments.",
    },
    "subtitle_unit": {
        "enum": [each.value for each in SubtitleUnit],
        "description": "RAPL's own: with `word`, each word is one cue.",
    },
    **{
        name: {
            "type": "integer" if name in WHOLE_NUMBERS else "number",
            "minimum": least,
            "maximum": most,
            "description": "RAPL's own: a rule for subtitles; the server's if empty.",
        }
        for name, (least, most) in RULE_LIMITS.items()
    },
    "chunking_strategy": {"type": "string", "description": "`auto`, or a `server_vad` object as JSON."},
    "known_speaker_names[]": {
        **_STRINGS,
        "maxItems": MAX_KNOWN,
        "description": "Names of speakers, for an answer with speakers.",
    },
    "known_speaker_references[]": {
        **_STRINGS,
        "maxItems": MAX_KNOWN,
        "description": "A clip of each named speaker's voice, of 2 to 10 s, as a data URL in base64.",
    },
    "speaker_labels": {
        "type": "boolean",
        "default": False,
        "description": "RAPL's own: whether `verbose_json`, `srt` and `vtt` name speakers.",
    },
    "num_speakers": {
        "type": "integer",
        "minimum": 1,
        "maximum": MAX_SPEAKERS,
        "description": "RAPL's own: how many people speak, in an answer with speakers; found by RAPL if empty.",
    },
}
_TRANSLATION_FIELDS = {
    name: _TRANSCRIPTION_FIELDS[name]
    for name in ("file", "model", "prompt", "response_format", "temperature", "audio_track")
}


_INPUT_AUDIO = {
    "type": "object",
    "required": ["data"],
    "properties": {
        "data": {"type": "string", "contentEncoding": "base64", "description": "The file."},
        "format": {"type": "string", "description": "Not used: the format is detected."},
    },
}


def _form(fields: dict[str, Any]) -> dict[str, Any]:
    form = {"type": "object", "properties": fields, "required": ["file"]}
    others = {name.removesuffix("[]"): field for name, field in fields.items() if name != "file"}
    json = {"type": "object", "properties": {"input_audio": _INPUT_AUDIO, **others}, "required": ["input_audio"]}
    content = {"multipart/form-data": {"schema": form}, "application/json": {"schema": json}}
    return {"requestBody": {"required": True, "content": content}}


TRANSCRIPTION_REQUEST = _form(_TRANSCRIPTION_FIELDS)
TRANSLATION_REQUEST = _form(_TRANSLATION_FIELDS)


def _compatible(file: str, fields: dict[str, Any], parameters: dict[str, Any]) -> dict[str, Any]:
    form = {"type": "object", "properties": {file: _TRANSCRIPTION_FIELDS["file"], **fields}, "required": [file]}
    query = [{"name": name, "in": "query", "schema": schema} for name, schema in parameters.items()]
    body = {"required": True, "content": {"multipart/form-data": {"schema": form}}}
    return {"requestBody": body, "parameters": query}


_ENCODE = {
    "type": "boolean",
    "default": True,
    "description": "`false`: the file is raw audio, 16 kHz mono signed 16-bit little-endian.",
}
ASR_REQUEST = _compatible(
    "audio_file",
    {},
    {
        "encode": _ENCODE,
        "task": {"enum": ["transcribe", "translate"], "default": "transcribe"},
        "language": _TRANSCRIPTION_FIELDS["language"],
        "initial_prompt": _TRANSCRIPTION_FIELDS["prompt"],
        "word_timestamps": {"type": "boolean", "default": False},
        "output": {"enum": ["txt", "vtt", "srt", "tsv", "json"], "default": "txt"},
    },
)
DETECT_LANGUAGE_REQUEST = _compatible("audio_file", {}, {"encode": _ENCODE})
_INFERENCE_FIELDS = ("language", "prompt", "response_format", "temperature")
INFERENCE_REQUEST = _compatible(
    "file",
    {
        **{name: _TRANSCRIPTION_FIELDS[name] for name in _INFERENCE_FIELDS},
        "translate": {"type": "boolean", "default": False},
        "token_timestamps": {"type": "boolean", "default": False, "description": "Words in the segments."},
    },
    {},
)


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Returns the error responses of a route. All have the same form."""
    return {status: {"model": ErrorEnvelope} for status in statuses}


TRANSCRIPTION_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The transcript in the requested format.",
        "content": {"application/json": {}, "text/plain": {}, "text/event-stream": {}},
    },
    **errors(*sorted({status for status in HTTP_STATUS.values() if status != 405})),
}
