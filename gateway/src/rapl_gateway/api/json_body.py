"""Reads a form that is sent as JSON, and has the limits of a form's fields."""

import binascii
from typing import Any, cast

from pydantic_core import from_json, to_json
from rapl_protocol.errors import ErrorCode, ServiceError

MAX_FIELDS = 200
MAX_FIELDS_BYTES = 32 << 20
"""Most bytes of all fields of a form, without the files."""
_MAX_FIELD_BYTES = 1 << 20
_CLIPS = "known_speaker_references"
"""The field with media: a clip of 10 s as WAV, with 48 kHz and two channels of 32 bits, has 5 MB in base64."""
_MAX_CLIP_BYTES = 6 << 20


def max_bytes_of(field: str) -> int:
    """Returns the largest value of a field."""
    return _MAX_CLIP_BYTES if _is_clip(field) else _MAX_FIELD_BYTES


def _is_clip(field: str) -> bool:
    return field.partition("[")[0] == _CLIPS


def unreadable(why: str) -> ServiceError:
    return ServiceError(ErrorCode.INVALID_REQUEST, f"the form cannot be read: {why}")


def parse_json(body: bytes, fields: dict[str, list[str]]) -> bytes:
    """Adds the JSON's fields to `fields`, as a form has them, and returns the audio.

    Raises:
        ServiceError: INVALID_REQUEST, if the body is not such an object.
    """
    try:
        sent: Any = from_json(body)
    except ValueError:
        sent = None
    match sent:
        case {"input_audio": {"data": str(data)}, **others}:
            small = {name: value for name, value in others.items() if not _is_clip(name)}
            if len(others) > MAX_FIELDS or len(to_json(small)) > _MAX_FIELD_BYTES:
                raise unreadable(f"its fields besides the audio are more than {_MAX_FIELD_BYTES >> 10} kB")
            for name, value in others.items():
                _add_json_field(fields, name, value)
            return from_base64(data, "input_audio.data")
        case _:
            message = 'the JSON must have the audio in base64: {"input_audio": {"data": "...", "format": "wav"}}'
            raise ServiceError(ErrorCode.INVALID_REQUEST, message, param="input_audio")


def _add_json_field(fields: dict[str, list[str]], name: str, value: Any) -> None:
    match value:
        case None:
            return
        case str():
            fields[name] = [value]
        case list():
            for each in cast("list[Any]", value):
                if each is not None:
                    text = each if isinstance(each, str) else to_json(each).decode()
                    fields.setdefault(f"{name}[]", []).append(text)
        case _:
            fields[name] = [to_json(value).decode()]


def from_base64(data: str, field: str) -> bytes:
    """Decodes base64 with or without line breaks and padding; a data URL's head is left out.

    Raises:
        ServiceError: INVALID_REQUEST, with the field's name.
    """
    if data.startswith("data:"):
        data = data.partition(",")[2]
    data = "".join(data.split()).rstrip("=")
    try:
        return binascii.a2b_base64(data + "=" * (-len(data) % 4), strict_mode=True)
    except ValueError:
        param = field.partition(".")[0]
        raise ServiceError(ErrorCode.INVALID_REQUEST, f"'{field}' is not base64", param=param) from None
