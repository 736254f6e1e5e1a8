"""The log of a service: one line for each record, on stderr.

No value that a client or another server has sent can write a line or a field of its own, and no exception's message
is logged that may quote a transcript or a prompt.
"""

import logging
import re
import time
import traceback
from collections.abc import Iterator, Sequence
from typing import Any, cast

from pydantic import ValidationError
from rapl_protocol.errors import ServiceError, reason_of

log = logging.getLogger("rapl")

_PLACEHOLDER = re.compile(r"=?%(?:%|[-#0 +]*\d*(?:\.\d+)?([a-zA-Z]))")
_NEEDS_QUOTES = re.compile(r"""[ ="'\\]""")
_WITHOUT_DATA = (OSError, MemoryError, ImportError, ServiceError)
"""Exceptions whose messages are logged. They name files and modules, or were written for a client. Any other message
may quote what it is about: `could not convert string to float: 'my words'`. Where no request is involved, such as while
a model is loaded, the caller logs the message itself."""


def configure_logging(level: str = "INFO") -> None:
    """Sends the log to stderr, one line for each record, with the time in UTC."""
    handler = logging.StreamHandler()
    handler.setFormatter(LogFormatter())
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


class LogFormatter(logging.Formatter):
    """Formats a record as one line; the traceback of an exception follows in lines that are indented.

    An argument for `name=%s` is quoted as a field. Control characters are escaped, line breaks too.
    """

    converter = time.gmtime

    def __init__(self) -> None:
        super().__init__("%(asctime)sZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = _one_line(_message_of(record).rstrip())
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:
        return "\n".join(_traceback(ei[1])) if ei[1] else ""


def _one_line(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def _message_of(record: logging.LogRecord) -> str:
    if record.name == "asyncio" and record.exc_info:
        return record.getMessage().partition("\n")[0]  # the next lines have the exception's message
    arguments = record.args
    if not isinstance(record.msg, str) or not isinstance(arguments, tuple):
        return record.getMessage()
    places = [match[0] for match in _PLACEHOLDER.finditer(record.msg) if match[1]]
    if len(places) != len(arguments):
        return record.getMessage()
    pairs = zip(places, arguments, strict=True)
    return record.msg % tuple(quoted(value) if place == "=%s" else value for place, value in pairs)


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
