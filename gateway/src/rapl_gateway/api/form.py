"""Parses OpenAI's form fields, with their defaults and accepted variants. No other module reads them.

Source: https://platform.openai.com/docs/api-reference/audio/createTranscription, and the requests of OpenAI's clients.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Self, TypeVar, cast

from pydantic_core import from_json
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.prepared import PrepareOptions
from rapl_protocol.transcript import TranscribeOptions
from rapl_service.http.upload import Upload

from rapl_gateway.api.upload import Form
from rapl_gateway.languages import language_list

MAX_PROMPT_CHARACTERS = 100_000
MAX_KEYWORDS = 1_000
MAX_AUDIO_TRACK = 1_000
_ABSENT = ("", "none", "null", "undefined")
"""Texts of a field without a value. Python's and JavaScript's clients write the last three."""
_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")
_VAD_LIMITS = {"threshold": 1.0, "prefix_padding_ms": 5_000.0, "silence_duration_ms": 10_000.0}

E = TypeVar("E", bound=StrEnum)


class ResponseFormat(StrEnum):
    """OpenAI's response formats. DIARIZED_JSON is refused, because no model distinguishes speakers."""

    JSON = "json"
    TEXT = "text"
    SRT = "srt"
    VERBOSE_JSON = "verbose_json"
    VTT = "vtt"
    DIARIZED_JSON = "diarized_json"


_WITH_SEGMENTS = (ResponseFormat.SRT, ResponseFormat.VTT, ResponseFormat.VERBOSE_JSON)


class Granularity(StrEnum):
    WORD = "word"
    SEGMENT = "segment"


class Include(StrEnum):
    """What a request may ask for besides the text."""

    LOGPROBS = "logprobs"


@dataclass(frozen=True, slots=True)
class TranscriptionForm:
    """A parsed request to transcribe or translate."""

    file: Upload
    model: str | None
    language: str | None
    """ISO 639 code, or None if the language is to be detected."""
    languages: tuple[str, ...]
    """ISO 639 codes of the languages among which it is detected; empty: all."""
    prompt: str | None
    keywords: tuple[str, ...]
    response_format: ResponseFormat
    temperature: float | None
    itn: bool | None
    """Whether the text has numerals and punctuation; None: as the engine usually writes it."""
    granularities: frozenset[Granularity]
    logprobs: bool
    """Whether the response has the log-probability of each token, if the engine has them."""
    prepare: PrepareOptions
    """Options of speech detection, and the audio track."""
    stream: bool
    translate: bool

    @classmethod
    def parse(cls, form: Form, speech_detection: Literal["on", "off"], *, translate: bool = False) -> Self:
        """Parses the fields. A field without a value counts as not sent (`_ABSENT`). Unknown fields are ignored.

        Args:
            form: the fields and files of the request.
            speech_detection: whether speech detection is on in this gateway.
            translate: translate into English instead of transcribing.

        Raises:
            ServiceError: INVALID_REQUEST or UNSUPPORTED_PARAMETER, with the field's name.
        """
        file = form.files.get("file")
        if file is None:
            raise _invalid("file", "the audio is missing: send it as a form file named 'file'")
        _refuse_unsupported(form)
        options = _chunking_strategy(form) | {"speech_detection": speech_detection, "audio_track": _audio_track(form)}
        languages = () if translate else _languages(form)
        return cls(
            file=file,
            model=_text(form, "model"),
            language=languages[0] if len(languages) == 1 else None,
            languages=languages if len(languages) > 1 else (),
            prompt=_prompt(form),
            keywords=_keywords(form),
            response_format=_response_format(form),
            temperature=_number(form, "temperature", 1.0),
            itn=None if _text(form, "itn") is None else _flag(form, "itn"),
            granularities=_granularities(form),
            logprobs=Include.LOGPROBS in _includes(form),
            prepare=PrepareOptions.model_validate(options),
            stream=not translate and _flag(form, "stream"),
            translate=translate,
        )

    @property
    def wants_words(self) -> bool:
        return Granularity.WORD in self.granularities and self.response_format is ResponseFormat.VERBOSE_JSON

    def options(self, engine_model: str) -> TranscribeOptions:
        return TranscribeOptions(
            model=engine_model,
            language=self.language,
            languages=self.languages,
            prompt=self.prompt,
            keywords=self.keywords,
            temperature=self.temperature,
            itn=self.itn,
            word_timestamps=self.wants_words,
            segment_timestamps=self.response_format in _WITH_SEGMENTS,
            logprobs=self.logprobs,
            translate=self.translate,
        )


def _invalid(field: str, message: str) -> ServiceError:
    return ServiceError(ErrorCode.INVALID_REQUEST, message, param=field)


def _unsupported(field: str, message: str) -> ServiceError:
    return ServiceError(ErrorCode.UNSUPPORTED_PARAMETER, message, param=field)


def _is_absent(text: str) -> bool:
    return text.strip().lower() in _ABSENT


def _require_text(form: Form, field: str) -> None:
    if field in form.files or f"{field}[]" in form.files:
        raise _invalid(field, f"'{field}' must be text, not a file")


def _text(form: Form, field: str) -> str | None:
    _require_text(form, field)
    values = form.fields.get(field)
    return None if values is None or _is_absent(values[-1]) else values[-1].strip()


def _texts(form: Form, field: str) -> Sequence[str]:
    """Returns every value of an array. SDKs repeat `name[]`; other clients number the values (`name[0]`), or send
    `name`, with commas (`a,b`) or as JSON (`["a", "b"]`). An array of absent values only counts as not sent."""
    _require_text(form, field)
    texts: list[str] = []
    for name, values in form.fields.items():
        if name.startswith(field) and (item := re.fullmatch(r"(\[\d*\])?", name[len(field) :])):
            for value in values:
                listed = _json_list(value)
                texts += listed if listed is not None else [value] if item.group() else value.split(",")
    return () if all(map(_is_absent, texts)) else [text.strip() for text in texts if text.strip()]


def _json_list(text: str) -> list[str] | None:
    """Returns the texts of a JSON list, without nulls; None if it is something else."""
    if not text.lstrip().startswith("["):
        return None
    try:
        items: Any = from_json(text)
    except ValueError:
        return None
    return [str(item) for item in items if item is not None]


def _one_of(kind: type[E], field: str, text: str) -> E:
    try:
        return kind(text)
    except ValueError:
        allowed = ", ".join(f"'{member.value}'" for member in kind)
        raise _invalid(field, f"{text[:64]!r} is not one of {allowed}") from None


def _flag(form: Form, field: str) -> bool:
    text = (_text(form, field) or "false").lower()
    if text not in _TRUE + _FALSE:
        raise _invalid(field, f"'{field}' must be true or false")
    return text in _TRUE


def _number(form: Form, field: str, most: float) -> float | None:
    text = _text(form, field)
    return None if text is None else _checked_number(field, text, most)


def _checked_number(field: str, value: Any, most: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if not 0 <= number <= most:  # also true for NaN
        raise _invalid(field, f"'{field}' must be a number from 0 to {most:g}")
    return number


def _response_format(form: Form) -> ResponseFormat:
    wanted = _one_of(ResponseFormat, "response_format", _text(form, "response_format") or "json")
    if wanted is ResponseFormat.DIARIZED_JSON:
        message = "response_format 'diarized_json' is not supported: no model distinguishes speakers."
        raise _unsupported("response_format", message)
    return wanted


def _languages(form: Form) -> tuple[str, ...]:
    """Returns the languages that may be spoken; empty if any may be."""
    language, languages = _texts(form, "language"), _texts(form, "languages")
    if language and languages:
        raise _invalid("languages", "send either 'language' or 'languages', not both")
    return language_list(languages) if languages else language_list(language, "language")


def _audio_track(form: Form) -> int | None:
    text = _text(form, "audio_track")
    if text is None:
        return None
    if not re.fullmatch("[0-9]{1,9}", text) or int(text) > MAX_AUDIO_TRACK:
        raise _invalid("audio_track", f"'audio_track' must be a whole number from 0 to {MAX_AUDIO_TRACK}")
    return int(text)


def _prompt(form: Form) -> str | None:
    prompt = _text(form, "prompt")
    if prompt and len(prompt) > MAX_PROMPT_CHARACTERS:
        raise _invalid("prompt", f"the prompt is longer than {MAX_PROMPT_CHARACTERS} characters")
    return prompt


def _keywords(form: Form) -> tuple[str, ...]:
    keywords = tuple(_texts(form, "keywords"))
    if len(keywords) > MAX_KEYWORDS:
        raise _invalid("keywords", f"there are more than {MAX_KEYWORDS} keywords")
    if any(character in keyword for keyword in keywords for character in "<>\r\n"):
        raise _invalid("keywords", "a keyword may not contain '<', '>' or a line break")
    return keywords


def _granularities(form: Form) -> frozenset[Granularity]:
    field = "timestamp_granularities"
    wanted = frozenset(_one_of(Granularity, field, text) for text in _texts(form, field))
    return wanted or frozenset({Granularity.SEGMENT})


def _includes(form: Form) -> set[Include]:
    return {_one_of(Include, "include", text) for text in _texts(form, "include")}


def _refuse_unsupported(form: Form) -> None:
    """Refuses unsupported fields. If they were ignored, the response would mislead a client that relies on them."""
    for field in ("known_speaker_names", "known_speaker_references"):
        if _texts(form, field):
            raise _unsupported(field, f"'{field}' is not supported: no model distinguishes speakers.")


def _chunking_strategy(form: Form) -> dict[str, Any]:
    """Parses `auto` or an object into options of speech detection. SDKs send the object as fields
    (`chunking_strategy[type]`), other clients as JSON.

    Long audio is cut into segments with every value.
    """
    field = "chunking_strategy"
    text = _text(form, field)
    sent: Any = {
        name[len(field) + 1 : -1]: values[-1]
        for name, values in form.fields.items()
        if name.startswith(f"{field}[") and not _is_absent(values[-1])
    }
    if text and text != "auto":
        try:
            sent = from_json(text)
        except ValueError:
            sent = None
    strategy = cast("dict[str, Any]", sent) if isinstance(sent, dict) else {"type": "none"}
    if strategy and strategy.get("type") != "server_vad":
        raise _invalid(field, f"'{field}' must be 'auto' or an object of type 'server_vad'")
    given = {name: strategy[name] for name in _VAD_LIMITS if strategy.get(name) not in (None, "")}
    numbers = {name: _checked_number(f"{field}.{name}", value, _VAD_LIMITS[name]) for name, value in given.items()}
    return {f"vad_{name}": n if name == "threshold" else round(n) for name, n in numbers.items()}
