"""The queue of one model."""

import asyncio
from types import SimpleNamespace

import pytest
from rapl_mlx.models.jobs import Job, JobQueue
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.testing import make_tone
from rapl_protocol.transcript import TranscribeOptions

TONE = make_tone(0.01)


def job() -> Job:
    return Job(TONE, TranscribeOptions(model="a/b"))


def queue_of(*jobs: Job, limit: int = 8) -> JobQueue:
    queue = JobQueue(limit)
    for each in jobs:
        queue.admit(each)
    return queue


async def test_jobs_run_one_at_a_time_in_the_order_of_their_arrival():
    first, second = job(), job()
    queue = queue_of(first, second)

    assert queue.start_next() is first
    assert queue.start_next() is None
    assert queue.finish() is first
    assert queue.start_next() is second


async def test_a_full_queue_refuses_the_next_job():
    queue = queue_of(job(), limit=1)
    with pytest.raises(ServiceError) as caught:
        queue.admit(job())

    assert caught.value.code is ErrorCode.OVERLOADED


async def test_a_job_whose_client_left_stops_counting():
    first, second = job(), job()
    queue = queue_of(first, limit=1)
    first.answer.cancel()
    await asyncio.sleep(0)
    queue.admit(second)

    assert queue.start_next() is second


async def test_the_time_to_retry_comes_from_the_measured_time_of_jobs(monkeypatch: pytest.MonkeyPatch):
    queue = queue_of(job(), limit=2)
    now_s = 100.0
    monkeypatch.setattr("rapl_mlx.models.jobs.time", SimpleNamespace(monotonic=lambda: now_s))
    queue.start_next()
    now_s += 7.0
    queue.finish()
    for _ in range(2):
        queue.admit(job())
    with pytest.raises(ServiceError) as caught:
        queue.admit(job())

    assert caught.value.retry_after_s == 2 * 7.0


async def test_a_job_whose_client_left_is_not_run():
    cancelled, wanted = job(), job()
    cancelled.answer.cancel()

    assert queue_of(cancelled, wanted).start_next() is wanted


async def test_a_job_whose_process_died_is_the_next_one_again():
    first, second = job(), job()
    queue = queue_of(first, second)
    queue.start_next()
    queue.process_died("signal SIGKILL")

    assert queue.start_next() is first


async def test_a_job_that_ends_two_processes_fails_and_the_others_go_on():
    deadly, other = job(), job()
    queue = queue_of(deadly, other)
    for _ in range(2):
        queue.start_next()
        queue.process_died("signal SIGABRT")

    with pytest.raises(ServiceError, match=r"2 times.*SIGABRT") as caught:
        await deadly.answer
    assert caught.value.code is ErrorCode.INTERNAL
    assert queue.start_next() is other


async def test_the_answers_are_those_of_all_unanswered_jobs():
    running, waiting, cancelled = job(), job(), job()
    queue = queue_of(running, waiting, cancelled)
    queue.start_next()
    cancelled.answer.cancel()
    await asyncio.sleep(0)

    assert queue.answers() == [running.answer, waiting.answer]
