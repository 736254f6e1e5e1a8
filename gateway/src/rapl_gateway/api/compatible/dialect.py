"""What distinguishes the requests and responses of another API from OpenAI's."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from rapl_protocol.transcript import Segment
from starlette.requests import Request
from starlette.responses import Response

from rapl_gateway.api.form.fields import FALSE, TRUE, invalid
from rapl_gateway.api.form.transcription_form import TranscriptionForm
from rapl_gateway.api.rendering import render, segment_fields
from rapl_gateway.api.upload import Form
from rapl_gateway.transcription.result import TranscriptBuilder


def _never(_: TranscriptBuilder) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Dialect:
    adapt: Callable[[Request, Form], Awaitable[bool]]
    """Changes the fields of a request to OpenAI's. Returns whether to translate into English.

    Raises: ServiceError, about a field that cannot be honoured.
    """
    render: Callable[[TranscriptBuilder, TranscriptionForm], Response] = render
    is_enough: Callable[[TranscriptBuilder], bool] = _never
    """Whether the rest of the audio need not be transcribed."""


def use_as_file(form: Form, name: str) -> None:
    """Takes the file with this name as the audio. Raises: ServiceError, INVALID_REQUEST, if there is none."""
    if name not in form.files:
        raise invalid(name, f"the audio is missing: send it as a form file named '{name}'")
    if name != "file":
        if unused := form.files.pop("file", None):
            unused.close()
        form.files["file"] = form.files.pop(name)


def choice(form: Form, name: str, allowed: tuple[str, ...], default: str) -> str:
    """Takes the field out of the form and returns its value. Raises: ServiceError, INVALID_REQUEST."""
    text = form.fields.pop(name, [""])[-1].strip().lower() or default
    if text not in allowed:
        raise invalid(name, f"{text[:64]!r} is not one of {', '.join(allowed)}")
    return text


def flag(form: Form, name: str, *, default: bool = False) -> bool:
    """As `choice`, for a switch."""
    return choice(form, name, TRUE + FALSE, str(default).lower()) in TRUE


def segments_with_words(segments: tuple[Segment, ...]) -> Iterator[dict[str, Any]]:
    """Yields the fields of each segment, with its words inside, as Whisper's own programs write them."""
    for number, segment in enumerate(segments):
        words = [
            {"word": each.word, "start": round(each.start_s, 3), "end": round(each.end_s, 3)}
            for each in segment.words or ()
        ]
        yield segment_fields(number, segment) | ({"words": words} if words else {})
