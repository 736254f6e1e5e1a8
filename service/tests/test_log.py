"""What is logged stays one line, with one value in each field, and no exception's message that may quote a text."""

import asyncio
import io
import json
import logging
import os
import pty
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from pydantic import BaseModel
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_service.http.middleware import RequestMiddleware
from rapl_service.log import JsonFormatter, LineFields, LogFormatter, TurnFields, quoted
from rapl_service.testing import served
from starlette.responses import JSONResponse

SECRET = "zanzibar-marker"
BREAKS = ["\n", "\r\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\x1b[2K", "\x00", "\x08", "\ud800"]


class Answer(BaseModel):
    text: int


@pytest.fixture
def written() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger with the formatter of the services, and what it has written.

    It has no parent. pytest would keep the lines too, and its processes cannot send half of a surrogate pair.
    """
    log, stream = logging.Logger("test-of-the-log"), io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LogFormatter())
    log.addHandler(handler)
    yield log, stream
    log.removeHandler(handler)


@pytest.mark.parametrize("text", BREAKS)
def test_a_value_with_a_line_break_or_a_control_character_writes_no_line_of_its_own(written, text):
    log, stream = written
    log.warning("model=%s failed", f"a{text}2026-01-01T00:00:00Z INFO rapl forged")
    log.warning(f"model a{text}forged")

    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ("mlx-community/a_b-1.0", "mlx-community/a_b-1.0"),
        ("Ünïcödé/模型", "Ünïcödé/模型"),
        ("a status=200", '"a status=200"'),
        ("a=b", '"a=b"'),
        ('a"b', r'"a\"b"'),
        ('a\\" status=200', r'"a\\\" status=200"'),
        ("a\nb", r'"a\nb"'),
        ("a\u2028b", r'"a\u2028b"'),
        ("a\xa0b", r'"a\xa0b"'),
        ("", '""'),
        (200, "200"),
        (None, "None"),
    ],
)
def test_a_value_that_is_not_one_word_has_quotes(written, value, field):
    log, stream = written
    log.warning("model=%s state=%s took %d%%: %s", value, "ready", 7, "a sentence")

    assert quoted(value) == field
    assert stream.getvalue().rstrip().endswith(f"model={field} state=ready took 7%: a sentence")


def raise_with_secret(kind: str) -> None:
    match kind:
        case "value":
            float(SECRET)
        case "key":
            {}[SECRET]
        case "validation":
            Answer.model_validate({"text": SECRET})
        case "cause":
            try:
                Answer.model_validate({"text": SECRET})
            except ValueError as error:
                raise ServiceError(ErrorCode.INTERNAL, "invalid answer") from error
        case "context":
            try:
                raise RuntimeError(SECRET)
            except RuntimeError:
                raise TypeError(SECRET)  # noqa: B904 - the context is what is tested
        case "group":
            raise ExceptionGroup(SECRET, [ValueError(SECRET)])
        case "note":
            error = RuntimeError("a")
            error.add_note(SECRET)
            raise error


@pytest.mark.parametrize("kind", ["value", "key", "validation", "cause", "context", "group", "note"])
def test_a_traceback_shows_the_place_and_the_kind_of_an_exception_without_its_text(written, kind):
    log, stream = written
    try:
        raise_with_secret(kind)
    except Exception:
        log.exception("request_id=%s failed", "one")

    assert SECRET not in stream.getvalue()
    assert "in raise_with_secret" in stream.getvalue()
    assert "Error" in stream.getvalue()


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(2, "No such file", "/models/a"),
        MemoryError("out of memory"),
        ServiceError(ErrorCode.INTERNAL, "its process died"),
    ],
)
def test_an_exception_that_names_a_file_or_was_written_for_a_client_is_shown_with_its_message(written, error):
    log, stream = written
    log.error("failed", exc_info=error)

    assert str(error) in stream.getvalue()


def test_a_line_break_in_the_message_of_an_exception_writes_no_line_of_its_own(written):
    log, stream = written
    log.error("failed", exc_info=ServiceError(ErrorCode.INTERNAL, "a\n2026-01-01T00:00:00Z INFO rapl forged"))

    assert [line for line in stream.getvalue().splitlines() if line.startswith("2026-01-01")] == []


async def test_a_task_that_failed_without_a_listener_is_logged_without_its_text(written):
    _, stream = written
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LogFormatter())
    logging.getLogger("asyncio").addHandler(handler)

    async def fail() -> None:
        raise ValueError(SECRET)

    task = asyncio.create_task(fail())
    await asyncio.wait({task})
    del task
    await asyncio.sleep(0)
    logging.getLogger("asyncio").removeHandler(handler)

    assert "Task exception was never retrieved" in stream.getvalue()
    assert SECRET not in stream.getvalue()


def read_json(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture
def written_as_json(written) -> tuple[logging.Logger, io.StringIO]:
    written[0].handlers[0].setFormatter(JsonFormatter())
    return written


@pytest.mark.parametrize("text", BREAKS)
def test_a_json_line_is_one_object_whatever_the_value_is(written_as_json, text):
    log, stream = written_as_json
    log.warning("model=%s failed", f'a{text}", "level": "INFO')

    [line] = read_json(stream)
    assert line["model"] == f'a{text}", "level": "INFO'
    assert line["level"] == "WARNING"


def test_a_json_line_has_the_values_as_fields_and_numbers_as_numbers(written_as_json):
    log, stream = written_as_json
    log.warning("model=%s at_s=%.1f: retry %d", "m", 1.25, 3)
    log.warning("%s", LineFields({"request_id": "r", "status": 200, "took_s": 0.123456}))
    log.warning("%s", TurnFields({"turn": "item_1"}))

    warning, request, turn = read_json(stream)
    assert (warning["model"], warning["at_s"], warning["message"]) == ("m", 1.25, "model=m at_s=1.2: retry 3")
    assert (request["status"], request["took_s"], request["message"]) == (200, 0.1235, "request")
    assert (turn["turn"], turn["message"]) == ("item_1", "turn")


def test_a_json_line_has_a_traceback_without_messages_that_may_quote_a_text(written_as_json):
    log, stream = written_as_json
    try:
        raise ValueError(SECRET)
    except ValueError:
        log.exception("failed")

    [line] = read_json(stream)
    assert "ValueError" in line["traceback"]
    assert SECRET not in stream.getvalue()


@pytest.mark.parametrize("log_format", ["text", "json"])
async def test_each_line_that_is_written_for_a_request_has_its_id(written, log_format):
    log, stream = written
    log.handlers[0].setFormatter(JsonFormatter() if log_format == "json" else LogFormatter())

    async def app(scope, receive, send):
        log.warning("something happened")
        await JSONResponse({})(scope, receive, send)

    async with served(RequestMiddleware(app)) as url, httpx.AsyncClient() as http:
        await http.get(url, headers={"x-request-id": "req-of-the-test"})

    assert "req-of-the-test" in stream.getvalue()


def test_auto_is_json_where_the_log_is_not_a_terminal():
    program = "import logging, rapl_service.log as log; log.configure_logging('INFO', 'auto'); logging.warning('a')"
    command = [sys.executable, "-c", program]
    piped = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=60).stderr
    terminal, of_the_program = pty.openpty()
    subprocess.run(command, stderr=of_the_program, timeout=60)
    on_terminal = os.read(terminal, 1000).decode()
    os.close(terminal)
    os.close(of_the_program)

    assert json.loads(piped)["message"] == "a"
    assert "WARNING root a" in on_terminal
