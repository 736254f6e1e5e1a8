"""The log line of a request: its numbers, its quotes, and the route in place of the path."""

import logging
import shlex

import httpx
import pytest
from rapl_protocol.errors import ServiceError
from rapl_protocol.testing import FakeTranscriber, make_tone
from rapl_protocol.transcript import TranscribeOptions
from rapl_service.calls.call import Service, open_http
from rapl_service.calls.clients import TranscriberClient
from rapl_service.engine_app import transcriber_app
from rapl_service.testing import served


async def test_seconds_of_audio_have_two_decimals_and_seconds_of_work_four(caplog):
    caplog.set_level(logging.INFO)
    async with served(transcriber_app(FakeTranscriber())) as url, open_http() as http:
        client = TranscriberClient(http, Service("engine", url, ""))
        await client.transcribe(make_tone(0.5), TranscribeOptions(model="fake/model"), deadline_s=5)

    [line] = [record.getMessage() for record in caplog.records if "path=/v1/transcribe" in record.getMessage()]
    fields = dict(word.split("=") for word in line.split())
    assert (fields["method"], fields["status"], fields["model"], fields["audio_s"]) == (
        "POST",
        "200",
        "fake/model",
        "0.50",
    )
    assert len(fields["took_s"].partition(".")[2]) == 4


def fields_of(line: str) -> dict[str, str]:
    return dict(word.partition("=")[::2] for word in shlex.split(line))


@pytest.mark.parametrize("model", ["a\nmethod=GET", "a status=200", 'a" status=200 b="', "a\u2028b", "\x1b[31m", ""])
async def test_a_model_name_writes_no_line_and_no_field_of_its_own(caplog, model):
    caplog.set_level(logging.INFO)
    async with served(transcriber_app(FakeTranscriber())) as url, open_http() as http:
        client = TranscriberClient(http, Service("engine", url, ""))
        with pytest.raises(ServiceError):
            await client.transcribe(make_tone(0.5), TranscribeOptions(model=model), deadline_s=5)

    [line] = [record.getMessage() for record in caplog.records if "path=/v1/transcribe" in record.getMessage()]
    assert line.isprintable()
    assert list(fields_of(line)) == ["request_id", "method", "path", "status", "took_s", "model", "audio_s", "error"]
    assert (fields_of(line)["status"], fields_of(line)["method"]) == ("404", "POST")


@pytest.mark.parametrize("given", ["a=b", 'x"y', "a\\", "request_id=1"])
async def test_a_request_id_stays_one_field(caplog, given):
    caplog.set_level(logging.DEBUG)
    async with served(transcriber_app(FakeTranscriber())) as url, httpx.AsyncClient() as http:
        await http.get(f"{url}/health/live", headers={"x-request-id": given})

    [line] = [record.getMessage() for record in caplog.records if "path=/health/live" in record.getMessage()]
    assert list(fields_of(line)) == ["request_id", "method", "path", "status", "took_s"]


@pytest.mark.parametrize(
    ("method", "path", "shown"),
    [
        ("POST", "/v1/models/my-words/load", "/v1/models/{model_id:path}/load"),
        ("GET", "/v1/models", "/v1/models"),
        ("DELETE", "/v1/models", "/v1/models"),
        ("GET", "/my-words", "unknown"),
        ("POST", "/v1/my%0awords", "unknown"),
        ("GET", "/v1/models/my-words", "/v1/models/{model_id:path}"),
    ],
)
async def test_the_route_is_logged_and_not_the_path_that_was_sent(caplog, method, path, shown):
    caplog.set_level(logging.DEBUG)
    async with served(transcriber_app(FakeTranscriber())) as url, httpx.AsyncClient() as http:
        await http.request(method, f"{url}{path}")

    [line] = [record.getMessage() for record in caplog.records if f"method={method}" in record.getMessage()]
    assert fields_of(line)["path"] == shown
    assert "words" not in line
