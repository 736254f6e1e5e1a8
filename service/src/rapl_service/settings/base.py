"""The rules that the settings of every service follow."""

from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class EnvironmentSettings(BaseSettings):
    """Settings from environment variables; each field is described by the docstring below it.

    An empty variable counts as unset. Spaces around a value and the case of a choice do not matter. A switch is a
    `bool` field: on, yes, true and 1 mean the same, and so do off, no, false and 0.
    """

    model_config = SettingsConfigDict(
        frozen=True, env_ignore_empty=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def _tidied(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str):
            return value
        value = value.strip()
        choices = choices_of(cls.model_fields[info.field_name or ""].annotation)
        return next((choice for choice in choices if choice.lower() == value.lower()), value)


def choices_of(annotation: Any) -> tuple[str, ...]:
    """Returns the strings of every `Literal` in a type."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return tuple(choice for part in get_args(annotation) for choice in choices_of(part))


def _readable_file(path: Path) -> Path:
    path = path.expanduser()
    try:
        path.open("rb").close()
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    return path


ReadableFile = Annotated[Path, AfterValidator(_readable_file)]
"""A file that exists and can be read. `~` is the home folder."""
