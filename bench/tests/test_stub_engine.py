"""The stub passes for an engine of ours and for a server of OpenAI's wire, with their own clients."""

import asyncio
import time

from openai import OpenAI
from rapl_bench.fleet import Fleet, set_engine_ms
from rapl_bench.stub_engine import MODEL, SEGMENT_TEXT
from rapl_protocol.calls import Service, open_http
from rapl_protocol.client import TranscriberClient
from rapl_protocol.models import ModelState
from rapl_protocol.testing import make_tone
from rapl_protocol.transcript import TranscribeOptions

OPTIONS = TranscribeOptions(model=MODEL)


async def test_it_answers_an_engines_client_with_the_duration_of_the_audio(stub):
    async with open_http() as http:
        client = TranscriberClient(http, Service("stub", stub.url, ""))
        transcript = await client.transcribe(make_tone(5.0), OPTIONS, deadline_s=5)

    assert (transcript.text, transcript.duration_s) == (SEGMENT_TEXT, 5.0)


async def test_it_streams_to_an_engines_client(stub):
    async with open_http() as http:
        client = TranscriberClient(http, Service("stub", stub.url, ""))
        told = [part async for part in client.stream(make_tone(1.0), OPTIONS, deadline_s=5)]

    assert [part.text for part in told] == [SEGMENT_TEXT]


async def test_it_lists_its_model_as_ready_for_as_many_requests_as_it_was_told(stub):
    async with open_http() as http:
        [info] = await TranscriberClient(http, Service("stub", stub.url, "")).models()

    assert (info.id, info.state, info.parallel) == (MODEL, ModelState.READY, 3)


def test_it_answers_openais_client(stub):
    with OpenAI(base_url=f"{stub.url}/v1", api_key="any", max_retries=0) as client:
        answer = client.audio.transcriptions.create(file=("a.wav", make_tone(1.0).to_wav()), model=MODEL)

    assert answer.text == SEGMENT_TEXT


async def test_it_takes_the_time_that_was_set(stub):
    set_engine_ms(stub, 300)
    async with open_http() as http:
        client = TranscriberClient(http, Service("stub", stub.url, ""))
        began = time.perf_counter()
        await client.transcribe(make_tone(1.0), OPTIONS, deadline_s=5)

    assert time.perf_counter() - began >= 0.29


async def test_one_that_works_on_one_request_at_a_time_lets_the_next_wait(tmp_path):
    with Fleet(tmp_path) as fleet:
        serial = fleet.stub(parallel=1)
        set_engine_ms(serial, 200)
        async with open_http() as http:
            client = TranscriberClient(http, Service("stub", serial.url, ""))
            [info] = await client.models()
            began = time.perf_counter()
            await asyncio.gather(*(client.transcribe(make_tone(1.0), OPTIONS, deadline_s=5) for _ in range(3)))

    assert info.parallel == 1
    assert time.perf_counter() - began >= 0.59
