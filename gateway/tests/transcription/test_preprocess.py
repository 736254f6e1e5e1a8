"""preprocess-service dies in the middle of a file or restarts: the file continues where it stopped."""

import asyncio
from contextlib import aclosing

import pytest
from rapl_gateway.transcription.preprocess import RetryingPreprocessClient
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.frames import encode_frame
from rapl_protocol.live_audio import LiveOptions
from rapl_protocol.prepared import PrepareEnd, SpeechSegment
from rapl_protocol.testing import make_tone
from rapl_service.calls.call import Service, open_http
from rapl_service.testing import served
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

SEGMENTS = 4
MEDIA = b"some media"


class Mortal:
    """A fake that breaks the connection as often as a test wants, after a chosen number of segments."""

    def __init__(self, *breaks_after: int) -> None:
        self.breaks_after = list(breaks_after)
        self.asked = 0
        self.app = Starlette(
            routes=[Route("/v1/prepare", self.prepare, methods=["POST"]), Route("/health/ready", self.ready)]
        )

    async def ready(self, _: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def prepare(self, request: Request) -> StreamingResponse:
        self.asked += 1
        await request.body()
        return StreamingResponse(self.events(self.breaks_after.pop(0) if self.breaks_after else None))

    async def events(self, breaks_after: int | None):
        for number in range(SEGMENTS if breaks_after is None else breaks_after):
            where = {"type": "segment", "start_s": float(number), "end_s": number + 1.0}
            yield encode_frame(where, make_tone(1.0, 100.0 + number).pcm)
        if breaks_after is None:
            yield encode_frame({"type": "end", "duration_s": float(SEGMENTS)})


async def prepared(mortal: Mortal, media: bytes = MEDIA, url: str | None = None) -> list[float | None]:
    """Starts of the segments that came, and None for the end."""
    came: list[float | None] = []
    async with served(mortal.app) as own, open_http() as http:
        preparers = RetryingPreprocessClient(http, Service("preprocess-service", url or own, ""), restart_wait_s=5.0)
        spawn = asyncio.create_task(preparers.watch())
        await asyncio.sleep(0.2)
        try:
            async with aclosing(preparers.prepare(media, idle_s=10)) as events:
                async for event in events:
                    came.append(event.start_s if isinstance(event, SpeechSegment) else None)
                    assert isinstance(event, SpeechSegment | PrepareEnd)
        finally:
            spawn.cancel()
    return came


@pytest.mark.parametrize("breaks_after", [0, 1, 3])
async def test_after_a_broken_connection_events_continue_without_duplicates(breaks_after):
    mortal = Mortal(breaks_after)

    assert await prepared(mortal) == [0.0, 1.0, 2.0, 3.0, None]
    assert mortal.asked == 2


@pytest.mark.parametrize("breaks_after", [(1, 2, 3), (0, 0, 0)])
async def test_media_that_break_it_twice_are_not_retried(breaks_after):
    mortal = Mortal(*breaks_after)
    with pytest.raises(ServiceError) as caught:
        await prepared(mortal)

    assert caught.value.code is ErrorCode.BACKEND_UNAVAILABLE
    assert mortal.asked == 2


async def test_a_canonical_wav_does_not_wait_for_a_restart():
    mortal = Mortal(0)
    with pytest.raises(ServiceError):
        await prepared(mortal, make_tone(0.5).to_wav())

    assert mortal.asked == 1


async def test_a_service_that_was_never_ready_is_not_waited_for():
    with pytest.raises(ServiceError) as caught:
        await prepared(Mortal(), url="http://127.0.0.1:9")

    assert caught.value.code is ErrorCode.BACKEND_UNAVAILABLE


async def test_a_live_session_waits_for_the_service_as_long_as_a_request():
    async with open_http() as http:
        client = RetryingPreprocessClient(
            http, Service("preprocess-service", "http://127.0.0.1:9", ""), restart_wait_s=0
        )
        async with client.live(LiveOptions()) as live:
            with pytest.raises(ServiceError, match="lost a session of live audio"):
                await anext(aiter(live))

    assert client.retries == {"backend_unavailable": 1}
