"""At the end of the shutdown grace period every waiting client still gets an answer."""

import asyncio
import json
from typing import Any

import pytest
from rapl_gateway.api.shutdown import ShutdownResponder


async def sent_when_cancelled(kind: bytes | None) -> list[dict[str, Any]]:
    """What an endless application sends, and what follows when it is cancelled; `kind` is its content type, if any."""
    sent: list[dict[str, Any]] = []

    async def endless(scope, receive, send) -> None:
        if kind:
            headers = [(b"content-type", kind)]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
        await asyncio.Event().wait()

    async def send(message) -> None:
        sent.append(message)

    task = asyncio.create_task(ShutdownResponder(endless)({"type": "http", "rapl_log": {}}, send, send))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return sent


async def test_a_request_without_a_response_yet_gets_a_503_that_may_be_retried():
    start, body = await sent_when_cancelled(None)

    assert start["status"] == 503
    assert (b"retry-after", b"5") in start["headers"]
    assert json.loads(body["body"])["error"]["code"] == "backend_unavailable"


async def test_a_stream_that_has_begun_ends_with_an_error_event():
    _, event = await sent_when_cancelled(b"text/event-stream; charset=utf-8")

    assert event["body"].startswith(b"event: error\ndata: ")


async def test_any_other_response_that_has_begun_is_cut_off():
    assert len(await sent_when_cancelled(b"application/json")) == 1
