"""Work that nobody awaits is not lost in silence."""

import asyncio
import logging

import pytest
from rapl_service.background import spawn


async def test_a_failure_is_in_the_log_when_it_happens(caplog: pytest.LogCaptureFixture):
    async def fail() -> None:
        raise ZeroDivisionError("of nobody's making")

    watch = spawn(fail())
    with caplog.at_level(logging.ERROR, "rapl"):
        await asyncio.wait({watch})
        await asyncio.sleep(0)

    assert "no longer" in caplog.text
    assert "of nobody's making" in caplog.text


async def test_its_end_with_the_service_is_no_failure(caplog: pytest.LogCaptureFixture):
    watch = spawn(asyncio.sleep(60))
    watch.cancel()
    with caplog.at_level(logging.ERROR, "rapl"):
        await asyncio.wait({watch})
        await asyncio.sleep(0)

    assert not caplog.records
