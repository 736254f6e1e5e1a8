"""Reads fields of a form as clients send them: repeated, numbered, as JSON, or with a text that means no value."""

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, TypeVar

from pydantic_core import from_json
from rapl_protocol.errors import ErrorCode, ServiceError

from rapl_gateway.api.upload import Form

_ABSENT = ("", "none", "null", "undefined")
"""Texts of a field without a value. Python's and JavaScript's clients write the last three."""
TRUE, FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")

E = TypeVar("E", bound=StrEnum)


def invalid(field: str, message: str) -> ServiceError:
    return ServiceError(ErrorCode.INVALID_REQUEST, message, param=field)


def unsupported(field: str, message: str) -> ServiceError:
    return ServiceError(ErrorCode.UNSUPPORTED_PARAMETER, message, param=field)


def is_absent(text: str) -> bool:
    """Returns whether the text means that the field has no value."""
    return text.strip().lower() in _ABSENT


def _require_text(form: Form, field: str) -> None:
    if field in form.files or f"{field}[]" in form.files:
        raise invalid(field, f"'{field}' must be text, not a file")


def text_of(form: Form, field: str) -> str | None:
    """Returns the last value of a field; None if it was not sent."""
    _require_text(form, field)
    values = form.fields.get(field)
    return None if values is None or is_absent(values[-1]) else values[-1].strip()


def texts_of(form: Form, field: str, separator: str = ",") -> Sequence[str]:
    """Returns every value of an array. SDKs repeat `name[]`; other clients number the values (`name[0]`), or send
    `name`, with commas (`a,b`) or as JSON (`["a", "b"]`). An array of absent values only counts as not sent.

    Args:
        form: the request.
        field: its name, without brackets.
        separator: what separates the values of one `name`, as a regular expression.
    """
    _require_text(form, field)
    texts: list[str] = []
    for name, values in form.fields.items():
        if name.startswith(field) and (item := re.fullmatch(r"(\[\d*\])?", name[len(field) :])):
            for value in values:
                listed = _json_list(value)
                texts += listed if listed is not None else [value] if item.group() else re.split(separator, value)
    return () if all(map(is_absent, texts)) else [text.strip() for text in texts if text.strip()]


def _json_list(text: str) -> list[str] | None:
    """Returns the texts of a JSON list, without nulls; None if it is something else."""
    if not text.lstrip().startswith("["):
        return None
    try:
        items: Any = from_json(text)
    except ValueError:
        return None
    return [str(item) for item in items if item is not None]


def one_of(kind: type[E], field: str, text: str) -> E:
    try:
        return kind(text)
    except ValueError:
        allowed = ", ".join(f"'{member.value}'" for member in kind)
        raise invalid(field, f"{text[:64]!r} is not one of {allowed}") from None


def flag_of(form: Form, field: str) -> bool:
    text = (text_of(form, field) or "false").lower()
    if text not in TRUE + FALSE:
        raise invalid(field, f"'{field}' must be true or false")
    return text in TRUE


def number_of(form: Form, field: str, most: float) -> float | None:
    text = text_of(form, field)
    return None if text is None else checked_number(field, text, most)


def checked_number(field: str, value: Any, most: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if not 0 <= number <= most:  # also true for NaN
        raise invalid(field, f"'{field}' must be a number from 0 to {most:g}")
    return number
