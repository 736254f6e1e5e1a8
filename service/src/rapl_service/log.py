"""The log of a service: one line for each record, on stderr, as text or as JSON.

No value that a client or another server has sent can write a line or a field of its own, and no exception's message
is logged that may quote a transcript or a prompt.
"""

import json
import logging
import re
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, cast

from pydantic import ValidationError
from rapl_protocol.errors import ServiceError, reason_of

from rapl_service.telemetry.context import LINE_IDS

LogFormat = Literal["text", "json", "auto"]

log = logging.getLogger("rapl")

_PLACEHOLDER = re.compile(r"(\w+=)?%(?:%|[-#0 +]*\d*(?:\.\d+)?([a-zA-Z]))")
_NEEDS_QUOTES = re.compile(r"""[ ="'\\]""")
_WITHOUT_DATA = (OSError, MemoryError, ImportError, ServiceError)
"""Exceptions whose messages are logged. They name files and modules, or were written for a client. Any other message
may quote what it is about: `could not convert string to float: 'my words'`. Where no request is involved, such as while
a model is loaded, the caller logs the message itself."""


_DECIMALS = {"audio_s": 2, "speech_s": 2}
"""Decimals of audio durations. Processing times have four decimals: a tenth of a millisecond."""


def configure_logging(level: str = "INFO", log_format: str = "text") -> None:
    """Sends the log to stderr, one line for each record, with the time in UTC. `log_format` is a `LogFormat`."""
    is_json = log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if is_json else LogFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # uvicorn writes four lines at each start, with a key that stops a service which has no terminal, and two for each
    # WebSocket connection. `run` and RequestMiddleware write one.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    # No line shows these values, so they are not looked up for each record.
    # Source: https://docs.python.org/3/howto/logging.html#optimization
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # type: ignore[attr-defined]


def quoted(value: object) -> str:
    """A value of a field of a log line, `name=value`. It has quotes if it would otherwise not be one word.

    Source: https://brandur.org/logfmt
    """
    text = str(value)
    if text and text.isprintable() and not _NEEDS_QUOTES.search(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_one_line(escaped)}"'


class LineFields(dict[str, Any]):
    """The fields of a line that has nothing else: `log.info("%s", LineFields(...))`."""

    message = "request"
    """What the line is about, in JSON."""

    def __str__(self) -> str:
        return " ".join([f"{name}={_formatted(name, value)}" for name, value in self.items()])


class TurnFields(LineFields):
    """The fields of the line of a realtime turn."""

    message = "turn"


def _formatted(name: str, value: Any) -> str:
    return f"{value:.{_DECIMALS.get(name, 4)}f}" if isinstance(value, float) else quoted(value)


class LogFormatter(logging.Formatter):
    """Formats a record as one line; the traceback of an exception follows in lines that are indented.

    An argument for `name=%s` is quoted as a field. Control characters are escaped, line breaks too. The ids of the
    current request follow, unless the line begins with them.
    """

    converter = time.gmtime

    def __init__(self) -> None:
        super().__init__("%(asctime)sZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        message = _one_line(_message_of(record).rstrip())
        ids = [f" {name}={quoted(value)}" for name, value in LINE_IDS.get().items() if f"{name}=" not in message]
        record.message = message + "".join(ids)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:
        return "\n".join(_traceback(ei[1])) if ei[1] else ""


class JsonFormatter(logging.Formatter):
    """Formats a record as one line with a JSON object: `time`, `level`, `logger`, `message`, the ids of the current
    request, and each value for `name=%s` as a field. The traceback of an exception is the field `traceback`."""

    def format(self, record: logging.LogRecord) -> str:
        args = record.args
        line: dict[str, Any] = {
            **LINE_IDS.get(),
            **_fields_of(record),
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": args.message if isinstance(args, LineFields) else _message_of(record).rstrip(),
        }
        if record.exc_info and record.exc_info[1]:
            line["traceback"] = "\n".join(_traceback(record.exc_info[1]))
        return json.dumps(line, default=str)


def _fields_of(record: logging.LogRecord) -> dict[str, Any]:
    if isinstance(record.args, LineFields):
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in record.args.items()}
    pairs = _placeholders(record)
    return {name.removesuffix("="): value for (name, _), value in pairs if name}


def _one_line(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def _message_of(record: logging.LogRecord) -> str:
    if record.name == "asyncio" and record.exc_info:
        return record.getMessage().partition("\n")[0]  # the next lines have the exception's message
    pairs = _placeholders(record)
    if not pairs:
        return record.getMessage()
    return record.msg % tuple(quoted(value) if name and kind == "s" else value for (name, kind), value in pairs)


def _placeholders(record: logging.LogRecord) -> list[tuple[tuple[str, str], object]]:
    """Name and kind of each placeholder, such as `model=` and `s`, with its value; the name is "" if it has none."""
    if not isinstance(record.msg, str) or not isinstance(record.args, tuple):
        return []
    places = [(match[1] or "", match[2]) for match in _PLACEHOLDER.finditer(record.msg) if match[2]]
    return list(zip(places, record.args, strict=True)) if len(places) == len(record.args) else []


def _traceback(error: BaseException) -> Iterator[str]:
    """Yields the lines of a traceback, without the messages of exceptions that may quote data."""
    chain = [error]
    while (before := _before(chain[-1])) and before not in chain:
        chain.append(before)
    for each in reversed(chain):
        for entry in traceback.format_tb(each.__traceback__):
            yield from entry.rstrip().splitlines()
        yield f"  {_described(each)}"
        for part in _parts(each):
            yield from _traceback(part)


def _parts(error: BaseException) -> Sequence[BaseException]:
    return cast("BaseExceptionGroup[BaseException]", error).exceptions if isinstance(error, BaseExceptionGroup) else ()


def _before(error: BaseException) -> BaseException | None:
    """The exception that led to this one, if it is to be shown."""
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _described(error: BaseException) -> str:
    name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    if isinstance(error, ValidationError):
        return _one_line(f"{name}: {reason_of(error)}")
    return _one_line(f"{name}: {error}") if isinstance(error, _WITHOUT_DATA) else name
