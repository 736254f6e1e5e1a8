"""The environment variables of settings, as the documents list them."""

from dataclasses import dataclass
from typing import Any, cast

from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    meaning: str
    default: str = ""
    """The value that has the same effect as leaving the variable unset; empty if there is none."""
    example: str = ""
    """A value that works; the default, if there is one."""
    default_in_words: str = ""
    """What the documents say instead of a default that depends on the machine."""
    other_names: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """The meaning, and the variable's other names."""
        return " ".join([self.meaning, *(f"`{name}` is another name for it." for name in self.other_names)])


def variables_of(settings: type[BaseSettings]) -> dict[str, Variable]:
    """Returns the variables of a service by the name of their field, in the order of the fields."""
    prefix = settings.model_config.get("env_prefix", "")
    return {name: _variable(f"{prefix}{name}".upper(), field) for name, field in settings.model_fields.items()}


def is_secret(field: FieldInfo) -> bool:
    return SecretStr.__name__ in repr(field.annotation)


def _variable(name: str, field: FieldInfo) -> Variable:
    alias = field.validation_alias
    names = tuple(map(str, alias.choices)) if isinstance(alias, AliasChoices) else (name,)
    default = "" if field.default_factory else _as_text(field.default)
    return Variable(
        names[0],
        meaning=" ".join((field.description or "").split()),
        default=default,
        example=str(field.examples[0]) if field.examples else default,
        default_in_words=_default_in_words(field),
        other_names=names[1:],
    )


def _default_in_words(field: FieldInfo) -> str:
    extra = cast("dict[str, Any]", field.json_schema_extra or {})
    return str(extra.get("default_in_words", ""))


def _as_text(default: Any) -> str:
    if default is None or default == ():
        return ""
    if isinstance(default, bool):
        return "on" if default else "off"
    return str(default)
