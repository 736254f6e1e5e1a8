"""The queue of one model."""

import asyncio

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


async def test_a_job_that_nobody_waits_for_is_not_run():
    abandoned, wanted = job(), job()
    abandoned.answer.cancel()

    assert queue_of(abandoned, wanted).start_next() is wanted


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


async def test_all_that_is_not_answered_is_known():
    running, waiting, abandoned = job(), job(), job()
    queue = queue_of(running, waiting, abandoned)
    queue.start_next()
    abandoned.answer.cancel()
    await asyncio.sleep(0)

    assert queue.answers() == [running.answer, waiting.answer]
