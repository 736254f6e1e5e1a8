"""A failure of a task that no code awaits is logged."""

import asyncio
import logging

import pytest
from rapl_service.background import spawn


async def test_a_failure_is_logged_when_it_happens(caplog: pytest.LogCaptureFixture):
    async def fail() -> None:
        raise ZeroDivisionError("a failure on purpose")

    watch = spawn(fail())
    with caplog.at_level(logging.ERROR, "rapl"):
        await asyncio.wait({watch})
        await asyncio.sleep(0)

    assert "a background task failed" in caplog.text
    assert "a failure on purpose" in caplog.text


async def test_a_task_that_is_cancelled_is_no_failure(caplog: pytest.LogCaptureFixture):
    watch = spawn(asyncio.sleep(60))
    watch.cancel()
    with caplog.at_level(logging.ERROR, "rapl"):
        await asyncio.wait({watch})
        await asyncio.sleep(0)

    assert not caplog.records
