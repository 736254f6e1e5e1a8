"""The fields about speakers: whether the answer tells them apart, and who is known."""

import re
from dataclasses import dataclass

from rapl_protocol.errors import ServiceError
from rapl_protocol.speakers import MAX_SPEAKERS

from rapl_gateway.api.form.fields import flag_of, invalid, is_absent, text_of, texts_of, unsupported
from rapl_gateway.api.json_body import from_base64
from rapl_gateway.api.upload import Form
from rapl_gateway.speakers.known import KnownSpeaker

MAX_KNOWN = 4
"""Most known speakers of a request. Source: OpenAI's API reference, `known_speaker_names`."""
_MAX_NAME_CHARACTERS = 100
_LABELS, _NUMBER = "speaker_labels", "num_speakers"
_NAMES, _CLIPS = "known_speaker_names", "known_speaker_references"


@dataclass(frozen=True, slots=True)
class SpeakerFields:
    """What a request wants to know about its speakers."""

    param: str
    """The field that asks for speakers."""
    known: tuple[KnownSpeaker, ...] = ()
    count: int | None = None
    """How many people speak, if the client knows it."""


def requested_speakers(form: Form, response_format: str, *, has_labels: bool, translate: bool) -> SpeakerFields | None:
    """Returns what a request wants to know about its speakers; None if it does not ask for them.

    Args:
        form: the request.
        response_format: OpenAI's `diarized_json` asks for speakers.
        has_labels: whether the answer can name speakers if `speaker_labels` is on.
        translate: whether it is translated, which has no speakers.

    Raises:
        ServiceError: INVALID_REQUEST or UNSUPPORTED_PARAMETER, with the field's name.
    """
    wants_labels = flag_of(form, _LABELS)
    is_diarized = response_format == "diarized_json"
    if wants_labels and not (is_diarized or has_labels):
        raise invalid(_LABELS, f"'{_LABELS}' needs response_format 'diarized_json', 'verbose_json', 'srt' or 'vtt'")
    known, count = _known(form), _count(form)
    if wants_labels or is_diarized:
        param = "response_format" if is_diarized else _LABELS
        if translate:
            raise unsupported(param, "A translation does not tell speakers apart.")
        return SpeakerFields(param, known, count)
    if known or count:
        field = _NAMES if known else _NUMBER
        raise invalid(field, f"'{field}' needs response_format 'diarized_json', or '{_LABELS}'")
    return None


def _count(form: Form) -> int | None:
    text = text_of(form, _NUMBER)
    if text is None:
        return None
    if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= MAX_SPEAKERS:
        raise invalid(_NUMBER, f"'{_NUMBER}' must be a whole number from 1 to {MAX_SPEAKERS}")
    return int(text)


def _known(form: Form) -> tuple[KnownSpeaker, ...]:
    names, clips = texts_of(form, _NAMES), texts_of(form, _CLIPS, separator=r",(?=\s*data:)")
    if len(names) != len(clips):
        message = f"there are {len(names)} '{_NAMES}' and {len(clips)} '{_CLIPS}': each name needs one clip"
        raise invalid(_CLIPS if names else _NAMES, message)
    if len(names) > MAX_KNOWN:
        raise invalid(_NAMES, f"there are more than {MAX_KNOWN} known speakers")
    if len(set(names)) < len(names):
        raise invalid(_NAMES, f"two of '{_NAMES}' are the same")
    return tuple(
        KnownSpeaker(_name(name, number), _clip(clip, number))
        for number, (name, clip) in enumerate(zip(names, clips, strict=True))
    )


def _name(text: str, number: int) -> str:
    if is_absent(text) or len(text) > _MAX_NAME_CHARACTERS or not text.isprintable():
        message = f"'{_NAMES}[{number}]' must be one line of 1 to {_MAX_NAME_CHARACTERS} characters"
        raise invalid(_NAMES, message)
    return text


def _clip(text: str, number: int) -> bytes:
    field = f"{_CLIPS}[{number}]"
    head = text[:200].partition(",")[0].strip().lower()
    if not (head.startswith("data:") and head.endswith(";base64")):
        raise invalid(_CLIPS, f"'{field}' must be a data URL, such as 'data:audio/wav;base64,UklGRg...'")
    try:
        return from_base64(text.strip(), field)
    except ServiceError as error:
        raise invalid(_CLIPS, error.message) from None
