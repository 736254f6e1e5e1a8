"""Reads `rapl.toml`, and says on which line a mistake is and what to write instead."""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from rapl_service.settings.base import ReadableFile

from rapl_gateway.settings import BaseUrl, split_urls

_MOST_PHRASES = 1_000
_LONGEST_PHRASE = 200


def _urls(value: Any) -> Any:
    return split_urls(value) if isinstance(value, str) else value


Keywords = Annotated[list[Annotated[str, Field(min_length=1, pattern=r"^[^<>\r\n]*$")]], Field(max_length=1_000)]
"""Names and terms that models expect in the audio, if they use keywords."""


class BackendEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: Annotated[tuple[BaseUrl, ...], BeforeValidator(_urls), Field(min_length=1)]
    """URL of one process, or a list of several that serve the same models."""
    kind: Literal["rapl", "openai"] = "rapl"
    """`rapl`: an engine of RAPL. `openai`: any server with OpenAI's transcription API."""
    key_env: str | None = None
    """Name of the environment variable that holds the key for this server."""
    key_file: ReadableFile | None = None
    """File that holds it instead, such as a secret of an orchestrator."""
    parallel: int | None = Field(None, ge=1)
    """How many segments one process works on at once. Overrides what the process reports."""
    remedy: str = "Look at its log."


class ModelEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    backend: str
    """Name of the backend that serves the model."""
    id: str | None = None
    """The engine's id of the model, if it differs from the public id."""
    fallback: list[str] = []
    """Models that are used instead while the engine of this model cannot be reached."""


def _digest(text: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise ValueError("must be a SHA-256 digest, 64 hexadecimal digits in lower case")
    return text


def _replacements(table: dict[str, str]) -> dict[str, str]:
    texts = [*table, *table.values()]
    if len(table) > _MOST_PHRASES or not all(phrase.strip() for phrase in table):
        raise ValueError(f"must have at most {_MOST_PHRASES} phrases, and none may be empty")
    if any(len(text) > _LONGEST_PHRASE or len(text.splitlines()) > 1 for text in texts):
        raise ValueError(f"each text must be one line of at most {_LONGEST_PHRASE} characters")
    return table


ReplacementTable = Annotated[dict[str, str], AfterValidator(_replacements)]
"""What takes the place of a phrase in transcripts."""


class ClientEntry(BaseModel):
    """What is special for the clients with one API key."""

    model_config = ConfigDict(extra="forbid")

    key_sha256: Annotated[str, AfterValidator(_digest)]
    """The key's SHA-256 digest in hexadecimal, so that the file does not have the key."""
    replacements: ReplacementTable = {}
    keywords: Keywords = []


class CatalogContent(BaseModel):
    """The contents of `rapl.toml`."""

    model_config = ConfigDict(extra="forbid")

    default_model: str | None = None
    unknown_model: Literal["error", "default"] = "error"
    backends: dict[str, BackendEntry] = {}
    models: dict[str, ModelEntry] = {}
    aliases: dict[str, str] = {}
    replacements: ReplacementTable = {}
    keywords: Keywords = []
    """Keywords of every request."""
    clients: dict[str, ClientEntry] = {}


_ENTRIES: dict[str, type[BaseModel]] = {"backends": BackendEntry, "models": ModelEntry, "clients": ClientEntry}
_SENTENCES = {
    "string_type": 'must be a text in quotes, such as {key} = "..."',
    "int_type": "must be a whole number, such as {key} = 4",
    "int_parsing": "must be a whole number, such as {key} = 4",
    "int_from_float": "must be a whole number, such as {key} = 4",
    "greater_than_equal": "must be at least {ge}",
    "too_long": "must have at most {max_length} entries",
    "string_pattern_mismatch": "a keyword may not contain '<', '>' or a line break",
    "literal_error": "must be one of {expected}",
    "tuple_type": 'must be a URL in quotes or a list of them, such as {key} = "http://192.168.1.20:8020"',
    "too_short": 'must have at least one URL, such as {key} = "http://192.168.1.20:8020"',
    "list_type": 'must be a list, such as {key} = ["iic/SenseVoiceSmall"]',
    "dict_type": "must be a table: write a line [{key}] and its keys below it",
    "model_type": "must be a table: write a line [{path}] and its keys below it",
    "missing": "is missing",
    "value_error": "{error}",
}
"""By the type of pydantic's error. Source: https://docs.pydantic.dev/latest/errors/validation_errors/"""


@dataclass(frozen=True)
class CatalogFile:
    path: Path | None = None
    """None if there is no file."""
    content: CatalogContent = field(default_factory=CatalogContent)
    _text: str = field(default="", repr=False)

    @classmethod
    def read(cls, path: Path | None) -> Self:
        """Raises: ValueError, with a line for each mistake."""
        if path is None:
            return cls()
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ValueError(f"{path}: it cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: it is not a text file in UTF-8") from error
        try:
            content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ValueError(_syntax_problem(path, text, error)) from error
        try:
            return cls(path, CatalogContent.model_validate(content), text)
        except ValidationError as error:
            file = cls(path, _text=text)
            problems = error.errors(include_url=False, include_input=False)
            raise ValueError("\n".join(file.problem(each["loc"], _message(each)) for each in problems)) from None

    def problem(self, place: Sequence[str | int], message: str) -> str:
        """Returns a line about a key, such as `rapl.toml:12: ...`.

        Args:
            place: the keys and list indices that lead to the value.
        """
        line = self._line_of(place)
        return f"{self.path}:{line}: {message}" if line else f"{self.path}: {message}"

    def _line_of(self, place: Sequence[str | int]) -> int | None:
        """Returns the line of the last key of `place` that is in the file."""
        if not self._statements:
            return None
        known = _existing(self._statements[-1][1], place)
        return next((line for line, parsed in self._statements if known and _existing(parsed, known) == known), None)

    @cached_property
    def _statements(self) -> list[tuple[int, dict[str, Any]]]:
        """The first line of each statement, and the content of the file up to the statement's end.

        A statement may have several lines. It is complete where the text up to there can be parsed.
        """
        statements: list[tuple[int, dict[str, Any]]] = []
        lines, first = self._text.split("\n"), 1
        for number in range(1, len(lines) + 1):
            try:
                statements.append((first, tomllib.loads("\n".join(lines[:number]))))
            except tomllib.TOMLDecodeError:
                continue
            first = number + 1
        return statements


def _existing(content: Any, place: Sequence[str | int]) -> list[str | int]:
    """Returns the keys of `place` that lead to a value. pydantic also puts the names of types there."""
    found: list[str | int] = []
    for key in place:
        try:
            content = content[key]
        except (KeyError, IndexError, TypeError):
            continue
        found.append(key)
    return found


def _syntax_problem(path: Path, text: str, error: tomllib.TOMLDecodeError) -> str:
    message, _, place = str(error).removesuffix(")").rpartition(" (at ")
    numbers = re.findall(r"\d+", place) or [str(len(text.splitlines()))]  # without numbers it is "end of document"
    hint = '. A text needs quotes: key = "value"' if message == "Invalid value" else ""
    return f"{':'.join([str(path), *numbers])}: {message}{hint}"


def _message(details: Any) -> str:
    place = [str(key) for key in details["loc"]]
    keys = [key for key in place if "[" not in key]  # without the names of types
    if details["type"] == "extra_forbidden":
        return _unknown_key(keys)
    facts = {**details.get("ctx", {}), "key": keys[-1], "path": ".".join(keys)}
    sentence = _SENTENCES.get(details["type"])
    return f"{'.'.join(keys)}: {sentence.format_map(facts) if sentence else details['msg']}"


def _unknown_key(keys: Sequence[str]) -> str:
    entry = CatalogContent if len(keys) == 1 else _ENTRIES[keys[0]]
    near = get_close_matches(keys[-1], entry.model_fields, n=1)
    meant = f"Is it {near[0]!r}?" if near else f"The keys here are {', '.join(entry.model_fields)}."
    return f"unknown key {keys[-1]!r}. {meant}"
