"""Reads the answers of another server in OpenAI's formats: `json`, `verbose_json`, and errors."""

from collections.abc import Mapping
from typing import Any

from rapl_protocol.errors import ErrorCode, ServiceError, seconds_to_wait
from rapl_protocol.transcript import Segment, Transcript, Word
from rapl_service.calls.call import Service, unavailable

from rapl_gateway.languages import parse_language

_MAX_MESSAGE_CHARACTERS = 300
_MAX_TIME_S = 86_400.0
"""A time beyond a day is nonsense: no engine gets more than 30 s of audio."""
_UNAVAILABLE = frozenset({502, 503, 504})
_WRONG_KEY = frozenset({401, 403})


def transcript_of(answer: Any, duration_s: float) -> Transcript:
    """
    Args:
        answer: the body, parsed.
        duration_s: of the audio that was sent.

    Raises:
        ValueError: the answer is not a transcript.
    """
    if not isinstance(answer, dict) or not isinstance(answer.get("text"), str):
        raise ValueError("it has no text")
    text, language = answer["text"].strip(), _language(answer)
    try:
        segments = tuple(_segment(each, answer.get("words"), language) for each in answer.get("segments") or ())
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError("a segment lacks fields") from error
    if not segments and text:
        segments = (Segment(start_s=0.0, end_s=duration_s, text=text, language=language),)
    return Transcript(text=text, language=language, duration_s=duration_s, segments=segments)


def refusal(service: Service, status: int, body: Any, headers: Mapping[str, str]) -> ServiceError:
    """The error that a status of 400 or more means for the gateway's client."""
    if status in _UNAVAILABLE:
        return unavailable(service, f"answered {status}")
    if status in _WRONG_KEY:
        return ServiceError(
            ErrorCode.BACKEND_UNAVAILABLE, f"{service.name} does not accept the key of this gateway. {service.remedy}"
        )
    message, param = _reason(body)
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


def _reason(body: Any) -> tuple[str | None, str | None]:
    match body:
        case {"error": {"message": str(message), **rest}}:
            param = rest.get("param")
            if param is None and "response_format" in message:
                param = "response_format"
            return message[:_MAX_MESSAGE_CHARACTERS], param if isinstance(param, str) else None
        case _:
            return None, None


def _language(answer: dict[str, Any]) -> str | None:
    """Read from `language` (an English name, in verbose_json) or `languages` (codes); None where both are missing."""
    match answer:
        case {"language": str(name)}:
            written = name
        case {"languages": [{"code": str(code)}, *_]}:
            written = code
        case _:
            return None
    try:
        return parse_language(written)
    except ServiceError:
        return None  # such as "unknown"


def _segment(segment: dict[str, Any], words: Any, language: str | None) -> Segment:
    start_s, end_s = _seconds(segment["start"]), _seconds(segment["end"])
    timed_words = None
    if isinstance(words, list):
        timed_words = tuple(
            Word(word=word["word"], start_s=_seconds(word["start"]), end_s=_seconds(word["end"]))
            for word in words
            if start_s <= _seconds(word["start"]) < end_s
        )
    return Segment(start_s=start_s, end_s=end_s, text=str(segment["text"]), language=language, words=timed_words)


def _seconds(time: Any) -> float:
    seconds = float(time)
    if not abs(seconds) <= _MAX_TIME_S:  # also what is not a number
        raise ValueError("a time is out of range")
    return seconds
