"""What is wrong with the settings of a service, one line for each, with an example of a right value."""

import os
import re
from typing import Any

from pydantic import ValidationError
from pydantic_settings import BaseSettings

from rapl_service.settings.base import choices_of
from rapl_service.settings.variables import Variable, is_secret, variables_of

_MAX_SHOWN = 100
_SENTENCES = {
    "int_parsing": "{value} is not a whole number",
    "int_type": "{value} is not a whole number",
    "float_parsing": "{value} is not a number",
    "finite_number": "{value} is not a finite number",
    "bool_parsing": "{value} is neither on nor off",
    "literal_error": "{value} is not one of {choices}",
    "greater_than": "{value} is not greater than {gt}",
    "greater_than_equal": "{value} is less than {ge}",
    "less_than": "{value} is not less than {lt}",
    "less_than_equal": "{value} is greater than {le}",
    "value_error": "{error}",
}
"""By the type of pydantic's error. Source: https://docs.pydantic.dev/latest/errors/validation_errors/"""


def problems_of(settings: type[BaseSettings], error: ValidationError) -> list[str]:
    """Returns a line for each wrong setting, such as `RAPL_PORT: 'eight' is not a whole number; for example
    RAPL_PORT=8000`. The values of keys and tokens are not in it."""
    variables = variables_of(settings)
    lines: list[str] = []
    for details in error.errors(include_url=False):
        place = str(details["loc"][0]) if details["loc"] else ""
        field = _field_of(place, variables)
        if field is None:
            lines.append(details["msg"].removeprefix("Value error, "))
            continue
        variable, field_info = variables[field], settings.model_fields[field]
        shown = "its value" if is_secret(field_info) else _shown(details["input"])
        limits = {name: _plain(limit) for name, limit in details.get("ctx", {}).items()}
        facts = {**limits, "value": shown, "choices": ", ".join(choices_of(field_info.annotation))}
        known = _SENTENCES.get(details["type"])
        sentence = known.format_map(facts) if known else details["msg"]
        names = (variable.name, *variable.other_names)
        name = next(filter(os.environ.get, names), variable.name)
        lines.append(f"{name}: {sentence}" + (f"; for example {name}={variable.example}" if variable.example else ""))
    return lines


def _field_of(place: str, variables: dict[str, Variable]) -> str | None:
    """Returns the field of an error's place, which is the name of the field or of its variable."""
    for field, variable in variables.items():
        if place in (field, variable.name, *variable.other_names):
            return field
    return None


def _plain(limit: Any) -> Any:
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit


def _shown(value: Any) -> str:
    return repr(without_password(str(value))[:_MAX_SHOWN])


def without_password(text: str) -> str:
    """Returns the text without the user names and passwords of its URLs."""
    return re.sub(r"//[^/@\s]*@", "//...@", text)
