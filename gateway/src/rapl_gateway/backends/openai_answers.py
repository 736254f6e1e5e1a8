"""Parses the responses of other servers in OpenAI's formats: `json`, `verbose_json`, and errors."""

from bisect import bisect_right
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field
from rapl_protocol.errors import HTTP_STATUS, ErrorCode, ServiceError, seconds_to_wait
from rapl_protocol.transcript import Segment, Transcript, Word
from rapl_service.calls.call import Service, unavailable

from rapl_gateway.languages import parse_language

_MAX_MESSAGE_CHARACTERS = 300
_MAX_TIME_S = 86_400.0
"""Longest valid time: one day. A longer one must be an error, because an engine gets at most 30 s of audio."""
_FIELDS = ("file", "language", "model", "prompt", "response_format", "stream", "temperature", "timestamp_granularities")
"""Fields of a request that may be named in an error."""
_UNAVAILABLE = frozenset({502, 503, 504})
_WRONG_KEY = frozenset({401, 403})
_SET_KEY = "Set the environment variable that its `key_env` in rapl.toml names, and restart the gateway."


Seconds = Annotated[float, Field(ge=-_MAX_TIME_S, le=_MAX_TIME_S, allow_inf_nan=False)]


class _Word(BaseModel):
    word: str
    start: Seconds
    end: Seconds


class _Segment(BaseModel):
    text: str
    start: Seconds
    end: Seconds


class _Language(BaseModel):
    code: str


class _Answer(BaseModel):
    """A response in `json` or `verbose_json`. Only `text` is required."""

    text: str
    language: str | None = None
    """The English name, in verbose_json."""
    languages: tuple[_Language, ...] | None = None
    segments: tuple[_Segment, ...] | None = None
    words: tuple[_Word, ...] | None = None

    def language_code(self) -> str | None:
        text = self.language or next((each.code for each in self.languages or ()), None)
        try:
            return parse_language(text or "")
        except ServiceError:
            return None  # for example "unknown"

    def ordered_segments(self) -> list[tuple[_Segment, tuple[Word, ...] | None]]:
        """Returns the segments in order of time, each with its words: a word belongs to the last segment that begins
        before it. The words are None if the response has none."""
        segments = sorted(self.segments or (), key=lambda each: each.start)
        if self.words is None:
            return [(each, None) for each in segments]
        starts, words = [each.start for each in segments], [list[Word]() for _ in segments]
        for each in self.words:
            number = bisect_right(starts, each.start) - 1
            if number >= 0 and each.start < segments[number].end:
                words[number].append(Word(word=each.word, start_s=each.start, end_s=each.end))
        return [(each, tuple(own)) for each, own in zip(segments, words, strict=True)]


def transcript_of(body: Any, duration_s: float) -> Transcript:
    """Returns the transcript in a response.

    Args:
        body: the parsed JSON of the response.
        duration_s: duration of the audio that was sent, in seconds.

    Raises:
        ValueError: the response is not a transcript.
    """
    answer = _Answer.model_validate(body)
    text, language = answer.text.strip(), answer.language_code()
    segments = tuple(
        Segment(start_s=each.start, end_s=each.end, text=each.text, language=language, words=words)
        for each, words in answer.ordered_segments()
    )
    if not segments and text:
        segments = (Segment(start_s=0.0, end_s=duration_s, text=text, language=language),)
    return Transcript(text=text, language=language, duration_s=duration_s, segments=segments)


def refusal(service: Service, status: int, body: Any, headers: Mapping[str, str]) -> ServiceError:
    """Returns the error for the gateway's client after a response with a status of 400 or more."""
    if status in _UNAVAILABLE:
        return unavailable(service, f"answered {status}")
    if status in _WRONG_KEY:
        message = f"{service.name} does not accept the key of this gateway."
        return ServiceError(ErrorCode.BACKEND_UNAVAILABLE, message, remedy=_SET_KEY)
    message, param = _reason(body, status)
    message = f"{service.name} answered {status}" + (f": {message}" if message else "")
    match status:
        case 404:
            return ServiceError(ErrorCode.MODEL_NOT_FOUND, message, param="model")
        case 413:
            return ServiceError(ErrorCode.AUDIO_TOO_LARGE, message, param="file")
        case 429:
            return ServiceError(
                ErrorCode.OVERLOADED, message, retry_after_s=seconds_to_wait(headers.get("retry-after"))
            )
        case _ if status >= 500:
            return ServiceError(ErrorCode.INTERNAL, message)
        case _:
            return ServiceError(ErrorCode.INVALID_REQUEST, message, param=param)


def _reason(body: Any, status: int) -> tuple[str | None, str | None]:
    """Returns the message and the field in the body of a refusal, as far as they may be passed on.

    Many servers quote what they were sent, the prompt for example. A RAPL gateway does not, so its messages are passed
    on; of the others' only which field is wrong.
    """
    match body:
        case {"error": {"message": str(message), **rest}}:
            given = rest.get("param")
            named = "response_format" if given is None and "response_format" in message else given
            param = named if named in _FIELDS else None
            return message[:_MAX_MESSAGE_CHARACTERS] if _is_from_rapl(rest, status) else None, param
        case _:
            return None, None


def _is_from_rapl(error: dict[str, Any], status: int) -> bool:
    code = error.get("code")
    if not isinstance(code, str) or code not in set(ErrorCode) or HTTP_STATUS[ErrorCode(code)] != status:
        return False
    expected = ServiceError(ErrorCode(code), "").envelope()["error"]
    return error.keys() == expected.keys() - {"message"} and error["type"] == expected["type"]
