"""Numbers in a request's log line are formatted where the line is written."""

import logging

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
