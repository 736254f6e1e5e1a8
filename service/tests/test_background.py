"""A failure of a task that no code awaits is logged."""

import asyncio
import logging

import pytest
from rapl_service.background import spawn


async def test_a_failed_background_task_is_logged_at_once(caplog: pytest.LogCaptureFixture):
    async def fail() -> None:
        raise ZeroDivisionError("a failure on purpose")

    watch = spawn(fail())
    with caplog.at_level(logging.ERROR, "rapl"):
        await asyncio.wait({watch})
        await asyncio.sleep(0)

    assert "a background task failed" in caplog.text
    assert "a failure on purpose" in caplog.text


async def test_a_cancelled_background_task_is_not_logged(caplog: pytest.LogCaptureFixture):
    watch = spawn(asyncio.sleep(60))
    watch.cancel()
    with caplog.at_level(logging.ERROR, "rapl"):
        await asyncio.wait({watch})
        await asyncio.sleep(0)

    assert not caplog.records
