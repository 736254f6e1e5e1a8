"""OpenAI's published JSON Schemas of the answers that RAPL gives.

Source: https://github.com/openai/openai-openapi, openapi.yaml of 2026-08-21: the schemas of the same names. RAPL's
additional fields are allowed where the schema does not forbid them.
"""

from typing import Any

STRING, NUMBER, INTEGER = {"type": "string"}, {"type": "number"}, {"type": "integer"}


def record(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "object", "properties": required | (optional or {}), "required": list(required)}


def array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def const(value: str) -> dict[str, Any]:
    return {"const": value}


USAGE_DURATION = record({"type": const("duration"), "seconds": NUMBER})
LANGUAGES = array(record({"code": STRING}))
WORD = record({"word": STRING, "start": NUMBER, "end": NUMBER})
SEGMENT = record(
    {
        "id": INTEGER,
        "seek": INTEGER,
        "start": NUMBER,
        "end": NUMBER,
        "text": STRING,
        "tokens": array(INTEGER),
        "temperature": NUMBER,
        "avg_logprob": NUMBER,
        "compression_ratio": NUMBER,
        "no_speech_prob": NUMBER,
    }
)
TRANSCRIPTION = record({"text": STRING}, {"languages": LANGUAGES, "usage": USAGE_DURATION})
VERBOSE_TRANSCRIPTION = record(
    {"language": STRING, "duration": NUMBER, "text": STRING},
    {"words": array(WORD), "segments": array(SEGMENT), "usage": USAGE_DURATION},
)
DIARIZED_SEGMENT = record(
    {
        "type": const("transcript.text.segment"),
        "id": STRING,
        "start": NUMBER,
        "end": NUMBER,
        "text": STRING,
        "speaker": STRING,
    }
)
DIARIZED_TRANSCRIPTION = record(
    {"task": const("transcribe"), "duration": NUMBER, "text": STRING, "segments": array(DIARIZED_SEGMENT)},
    {"usage": USAGE_DURATION},
)
TEXT_DELTA = record({"type": const("transcript.text.delta"), "delta": STRING})
TEXT_DONE = record({"type": const("transcript.text.done"), "text": STRING}, {"languages": LANGUAGES})
MODEL = record({"id": STRING, "object": const("model"), "created": INTEGER, "owned_by": STRING})
MODEL_LIST = record({"object": const("list"), "data": array(MODEL)})
_NULLABLE_STRING = {"type": ["string", "null"]}
ERROR = record(
    {"error": record({"message": STRING, "type": STRING, "param": _NULLABLE_STRING, "code": _NULLABLE_STRING})}
)
