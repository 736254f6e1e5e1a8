"""The only place that knows OpenAI's field names, defaults and tolerances."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self, TypeVar

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.transcript import TranscribeOptions
from starlette.datastructures import FormData, UploadFile

from rapl_gateway.languages import parse_language

MAX_PROMPT_CHARACTERS = 100_000

E = TypeVar("E", bound=StrEnum)


class ResponseFormat(StrEnum):
    JSON = "json"
    TEXT = "text"
    SRT = "srt"
    VERBOSE_JSON = "verbose_json"
    VTT = "vtt"


class Granularity(StrEnum):
    WORD = "word"
    SEGMENT = "segment"


@dataclass(frozen=True, slots=True)
class TranscriptionForm:
    """A request to transcribe, as its sender meant it.

    Source: https://platform.openai.com/docs/api-reference/audio/createTranscription
    """

    file: UploadFile
    model: str | None
    language: str | None
    """ISO 639 code; None asks for detection."""
    prompt: str | None
    response_format: ResponseFormat
    temperature: float | None
    granularities: frozenset[Granularity]

    @classmethod
    def parse(cls, form: FormData) -> Self:
        """Reads the fields; an empty one is one that was not sent, and an unknown one is passed over.

        Raises:
            ServiceError: INVALID_REQUEST or UNSUPPORTED_PARAMETER, naming the field.
        """
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise _invalid("file", "the audio is missing: send it as a form file named 'file'")
        if _text(form, "stream") in ("true", "1"):
            message = "stream=true is not offered yet; send the request without it"
            raise ServiceError(ErrorCode.UNSUPPORTED_PARAMETER, message, param="stream")
        return cls(
            file=file,
            model=_text(form, "model"),
            language=parse_language(_text(form, "language")),
            prompt=_prompt(form),
            response_format=_one_of(ResponseFormat, "response_format", _text(form, "response_format") or "json"),
            temperature=_temperature(form),
            granularities=_granularities(form),
        )

    @property
    def wants_words(self) -> bool:
        return Granularity.WORD in self.granularities and self.response_format is ResponseFormat.VERBOSE_JSON

    def options(self, engine_model: str) -> TranscribeOptions:
        return TranscribeOptions(
            model=engine_model,
            language=self.language,
            prompt=self.prompt,
            temperature=self.temperature,
            word_timestamps=self.wants_words,
        )


def _invalid(field: str, message: str) -> ServiceError:
    return ServiceError(ErrorCode.INVALID_REQUEST, message, param=field)


def _text(form: FormData, field: str) -> str | None:
    value = form.get(field)
    if value is not None and not isinstance(value, str):
        raise _invalid(field, f"'{field}' must be text, not a file")
    return (value or "").strip() or None


def _texts(form: FormData, field: str) -> Sequence[str]:
    """Every value of an array, as SDKs send it (`name[]` again and again) and as people do (`name`, or `a,b`)."""
    values = [v for name in (f"{field}[]", field) for v in form.getlist(name) if isinstance(v, str)]
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def _prompt(form: FormData) -> str | None:
    prompt = _text(form, "prompt")
    if prompt and len(prompt) > MAX_PROMPT_CHARACTERS:
        raise _invalid("prompt", f"the prompt is longer than {MAX_PROMPT_CHARACTERS} characters")
    return prompt


def _temperature(form: FormData) -> float | None:
    text = _text(form, "temperature")
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise _invalid("temperature", "the temperature must be a number from 0 to 1")
    return value


def _granularities(form: FormData) -> frozenset[Granularity]:
    field = "timestamp_granularities"
    wanted = frozenset(_one_of(Granularity, field, text) for text in _texts(form, field))
    return wanted or frozenset({Granularity.SEGMENT})


def _one_of(kind: type[E], field: str, text: str) -> E:
    try:
        return kind(text)
    except ValueError:
        allowed = ", ".join(f"'{member.value}'" for member in kind)
        raise _invalid(field, f"{text[:64]!r} is not one of {allowed}") from None
