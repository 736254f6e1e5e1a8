"""Parses OpenAI's form fields, with their defaults and accepted variants. No other module reads them.

Source: https://platform.openai.com/docs/api-reference/audio/createTranscription, and the requests of OpenAI's clients.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, Literal, Self, cast

from pydantic_core import from_json
from rapl_protocol.prepared import PrepareOptions
from rapl_protocol.transcript import TranscribeOptions
from rapl_service.http.upload import Upload

from rapl_gateway.api.form.fields import (
    checked_number,
    flag_of,
    invalid,
    is_absent,
    number_of,
    one_of,
    text_of,
    texts_of,
    unsupported,
)
from rapl_gateway.api.form.speakers import SpeakerFields, requested_speakers
from rapl_gateway.api.subtitles.rules import BY_RULES, SubtitleOptions
from rapl_gateway.api.upload import Form
from rapl_gateway.backends.catalog import DIARIZING_NAMES
from rapl_gateway.languages import language_list
from rapl_gateway.word_lists import MAX_KEYWORDS

MAX_PROMPT_CHARACTERS = 100_000
MAX_AUDIO_TRACK = 1_000
_VAD_LIMITS = {"threshold": 1.0, "prefix_padding_ms": 5_000.0, "silence_duration_ms": 10_000.0}


class ResponseFormat(StrEnum):
    """OpenAI's response formats. DIARIZED_JSON has speakers."""

    JSON = "json"
    TEXT = "text"
    SRT = "srt"
    VERBOSE_JSON = "verbose_json"
    VTT = "vtt"
    DIARIZED_JSON = "diarized_json"


_SUBTITLES = (ResponseFormat.SRT, ResponseFormat.VTT)
_WITH_SEGMENTS = (*_SUBTITLES, ResponseFormat.VERBOSE_JSON)
_WITH_INCLUDED_SUBTITLES = (ResponseFormat.VERBOSE_JSON, ResponseFormat.DIARIZED_JSON)


class Granularity(StrEnum):
    WORD = "word"
    SEGMENT = "segment"


class Include(StrEnum):
    """What a request may ask for besides the text. SUBTITLES is RAPL's own."""

    LOGPROBS = "logprobs"
    SUBTITLES = "subtitles"


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
    includes: frozenset[Include]
    prepare: PrepareOptions
    """Options of speech detection, and the audio track."""
    stream: bool
    translate: bool
    subtitles: SubtitleOptions
    speakers: SpeakerFields | None
    """None if the request does not ask for speakers."""

    @classmethod
    def parse(
        cls,
        form: Form,
        speech_detection: Literal["on", "off"],
        subtitles: SubtitleOptions = BY_RULES,
        *,
        translate: bool = False,
    ) -> Self:
        """Parses the fields. A field without a value counts as not sent (`is_absent`). Unknown fields are ignored.

        Args:
            form: the fields and files of the request.
            speech_detection: whether speech detection is on in this gateway.
            subtitles: the gateway's options of subtitles, which the request may change.
            translate: translate into English instead of transcribing.

        Raises:
            ServiceError: INVALID_REQUEST or UNSUPPORTED_PARAMETER, with the field's name.
        """
        file = form.files.get("file")
        if file is None:
            raise invalid("file", "the audio is missing: send it as a form file named 'file'")
        model, includes, response_format = text_of(form, "model"), _includes(form), _response_format(form)
        _refuse_what_diarization_lacks(form, model, response_format)
        if Include.SUBTITLES in includes and response_format not in _WITH_INCLUDED_SUBTITLES:
            raise invalid("include", "'subtitles' needs response_format 'verbose_json' or 'diarized_json'")
        options = _chunking_strategy(form) | {"speech_detection": speech_detection, "audio_track": _audio_track(form)}
        languages = () if translate else _languages(form)
        return cls(
            file=file,
            model=model,
            language=languages[0] if len(languages) == 1 else None,
            languages=languages if len(languages) > 1 else (),
            prompt=_prompt(form),
            keywords=_keywords(form),
            response_format=response_format,
            temperature=number_of(form, "temperature", 1.0),
            itn=None if text_of(form, "itn") is None else flag_of(form, "itn"),
            granularities=_granularities(form),
            includes=includes,
            prepare=PrepareOptions.model_validate(options),
            stream=not translate and flag_of(form, "stream"),
            translate=translate,
            subtitles=subtitles.changed_by(partial(text_of, form)),
            speakers=requested_speakers(
                form, response_format, has_labels=response_format in _WITH_SEGMENTS, translate=translate
            ),
        )

    @property
    def logprobs(self) -> bool:
        """Whether the response has the log-probability of each token, if the engine has them."""
        return Include.LOGPROBS in self.includes

    @property
    def wants_words(self) -> bool:
        """Whether words with their times are in the response."""
        return Granularity.WORD in self.granularities and self.response_format is ResponseFormat.VERBOSE_JSON

    @property
    def wants_subtitles(self) -> bool:
        return not self.stream and (self.response_format in _SUBTITLES or Include.SUBTITLES in self.includes)

    def options(self, engine_model: str, *, cuts_by_words: bool = False) -> TranscribeOptions:
        """Returns the options for an engine.

        Args:
            engine_model: the engine's id of the model.
            cuts_by_words: whether segments are cut by the times of words where the speaker changes.
        """
        needs_words = self.wants_subtitles and self.subtitles.need_words
        uses_words = cuts_by_words or (self.wants_subtitles and self.subtitles.use_words)
        return TranscribeOptions(
            model=engine_model,
            language=self.language,
            languages=self.languages,
            prompt=self.prompt,
            keywords=self.keywords,
            temperature=self.temperature,
            itn=self.itn,
            word_timestamps=self.wants_words or uses_words,
            words_are_optional=uses_words and not self.wants_words and not needs_words,
            segment_timestamps=self.response_format in _WITH_SEGMENTS or self.speakers is not None,
            logprobs=self.logprobs,
            translate=self.translate,
        )


def _response_format(form: Form) -> ResponseFormat:
    return one_of(ResponseFormat, "response_format", text_of(form, "response_format") or "json")


def _languages(form: Form) -> tuple[str, ...]:
    """Returns the languages that may be spoken; empty if any may be."""
    language, languages = texts_of(form, "language"), texts_of(form, "languages")
    if language and languages:
        raise invalid("languages", "send either 'language' or 'languages', not both")
    return language_list(languages) if languages else language_list(language, "language")


def _audio_track(form: Form) -> int | None:
    text = text_of(form, "audio_track")
    if text is None:
        return None
    if not re.fullmatch("[0-9]{1,9}", text) or int(text) > MAX_AUDIO_TRACK:
        raise invalid("audio_track", f"'audio_track' must be a whole number from 0 to {MAX_AUDIO_TRACK}")
    return int(text)


def _prompt(form: Form) -> str | None:
    prompt = text_of(form, "prompt")
    if prompt and len(prompt) > MAX_PROMPT_CHARACTERS:
        raise invalid("prompt", f"the prompt is longer than {MAX_PROMPT_CHARACTERS} characters")
    return prompt


def _keywords(form: Form) -> tuple[str, ...]:
    keywords = tuple(texts_of(form, "keywords"))
    if len(keywords) > MAX_KEYWORDS:
        raise invalid("keywords", f"there are more than {MAX_KEYWORDS} keywords")
    if any(character in keyword for keyword in keywords for character in "<>\r\n"):
        raise invalid("keywords", "a keyword may not contain '<', '>' or a line break")
    return keywords


def _granularities(form: Form) -> frozenset[Granularity]:
    field = "timestamp_granularities"
    wanted = frozenset(one_of(Granularity, field, text) for text in texts_of(form, field))
    return wanted or frozenset({Granularity.SEGMENT})


def _includes(form: Form) -> frozenset[Include]:
    return frozenset(one_of(Include, "include", text) for text in texts_of(form, "include"))


def _refuse_what_diarization_lacks(form: Form, model: str | None, response_format: ResponseFormat) -> None:
    """Refuses what OpenAI refuses for its model with speakers. If it were ignored, the response would mislead a client
    that relies on it. A prompt is refused for that model's name only: other models use it with speakers too.

    `segment` is accepted: clients ask for it, and the answer has segments.
    """
    is_diarized = response_format is ResponseFormat.DIARIZED_JSON
    if model in DIARIZING_NAMES and text_of(form, "prompt"):
        raise unsupported("prompt", f"'prompt' is not supported with the model '{model}'.")
    if not is_diarized and model not in DIARIZING_NAMES:
        return
    if Include.LOGPROBS in _includes(form):
        raise unsupported("include", "'logprobs' cannot be included in an answer with speakers.")
    if is_diarized and Granularity.WORD in _granularities(form):
        field = "timestamp_granularities"
        raise unsupported(field, "response_format 'diarized_json' has no times of words: use 'verbose_json'.")


def _chunking_strategy(form: Form) -> dict[str, Any]:
    """Parses `auto` or an object into options of speech detection. SDKs send the object as fields
    (`chunking_strategy[type]`), other clients as JSON.

    Long audio is cut into segments with every value.
    """
    field = "chunking_strategy"
    text = text_of(form, field)
    sent: Any = {
        name[len(field) + 1 : -1]: values[-1]
        for name, values in form.fields.items()
        if name.startswith(f"{field}[") and not is_absent(values[-1])
    }
    if text and text != "auto":
        try:
            sent = from_json(text)
        except ValueError:
            sent = None
    strategy = cast("dict[str, Any]", sent) if isinstance(sent, dict) else {"type": "none"}
    if strategy and strategy.get("type") != "server_vad":
        raise invalid(field, f"'{field}' must be 'auto' or an object of type 'server_vad'")
    given = {name: strategy[name] for name in _VAD_LIMITS if strategy.get(name) not in (None, "")}
    numbers = {name: checked_number(f"{field}.{name}", value, _VAD_LIMITS[name]) for name, value in given.items()}
    return {f"vad_{name}": n if name == "threshold" else round(n) for name, n in numbers.items()}
