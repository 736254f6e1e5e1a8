"""The stub answers the client of RAPL's engines and OpenAI's client."""

import asyncio
import time

from openai import OpenAI
from rapl_bench.fleet import Fleet, set_engine_ms
from rapl_bench.stub_engine import MODEL, WORDS_PER_S
from rapl_protocol.models import ModelState
from rapl_protocol.testing import make_tone
from rapl_protocol.transcript import TranscribeOptions, Transcript
from rapl_service.calls.call import Service, open_http
from rapl_service.calls.clients import TranscriberClient

OPTIONS = TranscribeOptions(model=MODEL)


async def test_it_answers_an_engines_client_with_the_duration_of_the_audio(stub):
    async with open_http() as http:
        client = TranscriberClient(http, Service("stub", stub.url, ""))
        transcript = await client.transcribe(make_tone(5.0), OPTIONS, deadline_s=5)

    assert (len(transcript.text.split()), transcript.duration_s) == (5 * WORDS_PER_S, 5.0)


async def test_it_never_repeats_a_word(stub):
    async with open_http() as http:
        client = TranscriberClient(http, Service("stub", stub.url, ""))
        words = [
            word
            for _ in range(3)
            for word in (await client.transcribe(make_tone(5.0), OPTIONS, deadline_s=5)).text.split()
        ]

    assert len(set(words)) == 3 * 5 * WORDS_PER_S


async def test_it_streams_to_an_engines_client(stub):
    async with open_http() as http:
        client = TranscriberClient(http, Service("stub", stub.url, ""))
        events = [part async for part in client.stream(make_tone(1.0), OPTIONS, deadline_s=5)]

    [transcript] = events
    assert isinstance(transcript, Transcript)
    assert len(transcript.text.split()) == WORDS_PER_S


async def test_it_lists_its_model_as_ready_with_its_number_of_parallel_requests(stub):
    async with open_http() as http:
        [info] = await TranscriberClient(http, Service("stub", stub.url, "")).models()

    assert (info.id, info.state, info.parallel) == (MODEL, ModelState.READY, 3)


def test_it_answers_openais_client(stub):
    with OpenAI(base_url=f"{stub.url}/v1", api_key="any", max_retries=0) as client:
        answer = client.audio.transcriptions.create(file=("a.wav", make_tone(1.0).to_wav()), model=MODEL)

    assert len(answer.text.split()) == WORDS_PER_S


async def test_it_takes_the_time_that_was_set(stub):
    set_engine_ms(stub, 300)
    async with open_http() as http:
        client = TranscriberClient(http, Service("stub", stub.url, ""))
        began = time.perf_counter()
        await client.transcribe(make_tone(1.0), OPTIONS, deadline_s=5)

    assert time.perf_counter() - began >= 0.29


async def test_a_stub_with_one_worker_computes_one_request_at_a_time(tmp_path):
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
