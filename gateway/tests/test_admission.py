"""Overload: requests queue, clients take turns, and a 429 says when to come back."""

import asyncio
import time

import pytest
from engine_processes import SerialTranscriber
from rapl_gateway.backends.load import QueuedAudio, Throughput
from rapl_protocol.testing import make_tone
from rapl_service.testing import until

CLIP = make_tone(2.0).to_wav()
KEYS = {"api_keys": "ada,bob"}


def as_(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def transcribe(fleet, key: str = "any", clip: bytes = CLIP):
    return await fleet.http.post("/v1/audio/transcriptions", files={"file": ("a", clip)}, headers=as_(key))


async def test_requests_beyond_the_engines_capacity_wait_in_the_queue(start):
    engine = SerialTranscriber(delay_s=0.02)
    fleet = await start(engine)
    answers = await asyncio.gather(*(transcribe(fleet) for _ in range(60)))

    assert {answer.status_code for answer in answers} == {200}
    assert len(engine.began) == 60


async def test_a_full_queue_is_a_429_whose_retry_after_is_the_time_of_half_the_queue(start):
    engine = SerialTranscriber(delay_s=0.3)
    fleet = await start(engine, max_queue_s=16)
    await transcribe(fleet)  # 2 s of audio in 0.3 s: this is how its throughput is known
    engine.may_work.clear()
    waiting = [asyncio.create_task(transcribe(fleet)) for _ in range(10)]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)  # a refusal: the engine answers none of the others

    answer = await transcribe(fleet)
    engine.may_work.set()
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "overloaded")
    assert answer.json()["error"]["type"] == "rate_limit_error"
    assert 1 <= int(answer.headers["retry-after"]) <= 4
    assert {(await each).status_code for each in waiting} <= {200, 429}


async def test_a_full_queue_refuses_before_the_upload_is_kept(start, monkeypatch):
    engine = SerialTranscriber()
    fleet = await start(engine, max_queue_s=1.5, mlx_url="http://127.0.0.1:9")
    await fleet.http.get("/v1/models")
    engine.may_work.clear()
    waiting = asyncio.create_task(transcribe(fleet))
    await until(lambda: engine.arrived)
    monkeypatch.setattr("rapl_gateway.api.transcriptions.received_form", None)

    assert (await transcribe(fleet)).status_code == 429
    engine.may_work.set()
    assert (await waiting).status_code == 200


async def test_clients_with_different_keys_take_turns(start):
    engine = SerialTranscriber(delay_s=0.05)
    fleet = await start(engine, **KEYS)
    first, second = make_tone(1.0).to_wav(), make_tone(2.0).to_wav()
    many = [asyncio.create_task(transcribe(fleet, "ada", first)) for _ in range(30)]
    await until(lambda: engine.began)
    one = await transcribe(fleet, "bob", second)

    assert one.status_code == 200
    assert engine.began.index(2.0) <= 11  # those that the engine had been given already, and one more
    await asyncio.gather(*many)


async def test_a_client_that_fills_the_queue_does_not_block_another(start):
    engine = SerialTranscriber()
    fleet = await start(engine, max_queue_s=3, **KEYS)
    engine.may_work.clear()
    waiting = [asyncio.create_task(transcribe(fleet, "ada")) for _ in range(2)]
    await until(lambda: engine.arrived == 2)

    assert (await transcribe(fleet, "ada")).status_code == 429
    accepted = asyncio.create_task(transcribe(fleet, "bob"))
    await until(lambda: engine.arrived == 3)
    engine.may_work.set()
    assert (await accepted).status_code == 200
    await asyncio.gather(*waiting)


async def test_the_place_of_a_disconnected_client_is_free_when_the_engine_has_finished(start):
    engine = SerialTranscriber(delay_s=0.6)
    fleet = await start(engine, max_queue_s=1.5, mlx_url="http://127.0.0.1:9")
    await transcribe(fleet)
    leaving = asyncio.create_task(transcribe(fleet))
    await until(lambda: len(engine.began) == 2)
    leaving.cancel()

    assert (await transcribe(fleet)).status_code == 429
    async with asyncio.timeout(20):
        while (await transcribe(fleet)).status_code == 429:
            pass


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
async def test_health_answers_while_a_hundred_requests_wait(start, path):
    engine = SerialTranscriber(delay_s=0.05)
    fleet = await start(engine)
    waiting = [asyncio.create_task(transcribe(fleet)) for _ in range(100)]
    await until(lambda: engine.began)
    began = time.perf_counter()
    answer = await fleet.http.get(path)

    assert answer.status_code == 200
    assert time.perf_counter() - began < 2  # it does not wait for its turn, nor for another service
    await asyncio.gather(*waiting)


def test_throughput_counts_only_the_time_with_work():
    now = iter([0.0, 10.0, 100.0, 110.0])
    throughput = Throughput(lambda: next(now))
    for _ in range(2):
        throughput.begin(was_idle=True)
        throughput.end(40.0, is_idle=True)

    assert throughput.time_s(8.0) == 2.0


@pytest.mark.parametrize("replicas", [1, 4])
def test_throughput_is_that_of_one_replica_however_many_work(replicas):
    now = iter([0.0] * replicas + [10.0] * replicas)
    throughput = Throughput(lambda: next(now))
    for _ in range(replicas):
        throughput.begin(was_idle=True)
    for _ in range(replicas):
        throughput.end(40.0, is_idle=True)

    assert throughput.time_s(8.0) == 2.0


def test_throughput_estimates_nothing_before_it_has_measured():
    assert Throughput().time_s(1.0) is None


def test_queued_audio_is_counted_per_client_and_returns_to_zero():
    queued = QueuedAudio()
    for client_id, audio_s in (("a", 0.1), ("a", 0.2), ("b", 3.0)):
        queued.add(client_id, audio_s)
    assert (round(queued.of("a"), 6), queued.clients("c")) == (0.3, 3)
    for client_id, audio_s in (("b", 3.0), ("a", 0.2), ("a", 0.1)):
        queued.remove(client_id, audio_s)

    assert (queued.total_s, queued.clients("a")) == (0.0, 1)
