"""A decoding process may end at any time: then its file is refused, and nothing else is lost."""

import asyncio
import os
import signal
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from processes import IS_LINUX, family
from rapl_preprocess.app import create_app
from rapl_preprocess.settings import Settings
from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.prepared import PreparedEvent, PrepareEnd, PrepareOptions
from rapl_service.calls.call import Http, Service
from rapl_service.calls.clients import PreprocessClient
from rapl_service.testing import served

pytestmark = pytest.mark.skipif(not IS_LINUX, reason="finds the processes in /proc")

CUT_ONLY = PrepareOptions(speech_detection="off")


def long_wav(duration_s: int) -> bytes:
    """8 kHz u8: small for its length, but it has to be decoded and resampled."""
    size = duration_s * 8000
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, 8000, 8000, 1, 8, b"data", size
    )
    return header + b"\x80\x81" * (size // 2)


@dataclass
class Running:
    client: PreprocessClient
    parent: int
    """The process that starts the decoders."""

    def decoders(self) -> list[int]:
        return family(self.parent)[1:]

    async def prepare(self, media: bytes, options: PrepareOptions = CUT_ONLY) -> list[PreparedEvent]:
        return await all_of(self.client.prepare(media, options=options, idle_s=30))

    async def metrics(self) -> str:
        async with httpx.AsyncClient() as http:
            return (await http.get(f"{self.client.service.url}/metrics")).text

    async def clip(self, media: bytes) -> WavAudio:
        async with self.client.clip(media, CUT_ONLY, deadline_s=30) as clip:
            return clip.audio


Start = Callable[..., "AsyncIterator[Running]"]


@pytest.fixture(params=["fork", "spawn"])
async def start(http: Http, request: pytest.FixtureRequest):
    """Starts a service with the given settings, once with decoders that are forked and once with spawned ones."""

    @asynccontextmanager
    async def service(**settings: Any) -> AsyncIterator[Running]:
        settings["decoder_start"] = request.param
        before = set(family(os.getpid()))
        async with served(create_app(Settings(**settings))) as url:
            parent = min(set(family(os.getpid())) - before)
            yield Running(PreprocessClient(http, Service("preprocess-service", url, "")), parent)

    async with AsyncExitStack() as stack:
        yield lambda **settings: stack.enter_async_context(service(**settings))


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110 - a process gives no signal
            await asyncio.sleep(0.01)


async def all_of(events: AsyncIterator[PreparedEvent]) -> list[PreparedEvent]:
    return [event async for event in events]


async def kill(pids: list[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    await until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids))


async def test_a_file_whose_decoder_is_killed_is_decoded_again_and_nothing_is_missing_or_sent_twice(start):
    running = await start(workers=1)
    unread = running.client.prepare(long_wav(600), options=CUT_ONLY, idle_s=30)
    begin = [await anext(unread), await anext(unread)]

    await kill(running.decoders())

    assert [*begin, *await all_of(unread)] == await running.prepare(long_wav(600))
    assert "rapl_decoder_deaths_total 1.0" in await running.metrics()


async def test_a_clip_whose_decoder_is_killed_before_its_audio_is_decoded_again(start):
    running = await start(workers=1)
    os.kill(running.decoders()[0], signal.SIGSTOP)
    clip = asyncio.create_task(running.clip(long_wav(20)))
    await asyncio.sleep(0.2)
    assert not clip.done()

    await kill(running.decoders())

    assert (await clip).duration_s == 20.0


async def test_idle_decoders_that_die_are_replaced(start):
    running = await start(workers=2)
    await until(lambda: len(running.decoders()) == 2)
    dead = running.decoders()

    await kill(dead)

    for _ in range(5):
        assert (await running.prepare(long_wav(2)))[-1] == PrepareEnd(duration_s=2.0)
    await until(lambda: len(set(running.decoders()) - set(dead)) == 2)


async def test_when_the_process_that_starts_decoders_dies_another_takes_its_place(start):
    running = await start(workers=1)
    decoders = running.decoders()

    os.kill(running.parent, signal.SIGKILL)
    await kill(decoders)

    assert (await running.prepare(long_wav(2)))[-1] == PrepareEnd(duration_s=2.0)


async def test_max_workers_files_are_decoded_at_once_and_the_next_one_waits(start):
    running = await start(workers=1, max_workers=2)
    unread = [running.client.prepare(long_wav(3600), options=CUT_ONLY, idle_s=30) for _ in range(2)]
    for events in unread:
        await anext(events)

    waiting = asyncio.create_task(running.prepare(long_wav(2)))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    assert len(running.decoders()) == 2

    await unread[0].aclose()
    assert (await waiting)[-1] == PrepareEnd(duration_s=2.0)
    await unread[1].aclose()
    await until(lambda: len(running.decoders()) == 1)


async def test_decoding_that_makes_no_progress_is_ended_and_not_tried_more_than_twice(start, caplog):
    running = await start(worker_stall_s=0.001)

    with pytest.raises(ServiceError, match="exceeded its limit of time") as caught:
        await running.prepare(long_wav(60), PrepareOptions())

    assert (caught.value.code, caught.value.param) == (ErrorCode.AUDIO_UNDECODABLE, "file")
    assert caplog.text.count("decodes the file again") == 1


async def test_decoding_that_takes_more_cpu_time_than_it_may_is_ended_and_no_other_file_suffers(start, caplog):
    running = await start(worker_cpu_s=0.5)

    with pytest.raises(ServiceError, match="exceeded its limit of time"):
        await running.prepare(long_wav(6 * 3600), PrepareOptions())

    assert caplog.text.count("decodes the file again") == 1
    assert (await running.prepare(long_wav(2)))[-1] == PrepareEnd(duration_s=2.0)


async def test_nothing_is_left_of_a_service_that_has_ended(http: Http):
    before = set(family(os.getpid()))
    async with served(create_app(Settings())) as url:
        running = Running(PreprocessClient(http, Service("preprocess-service", url, "")), 0)
        await running.prepare(long_wav(2))
        [*ours] = set(family(os.getpid())) - before
    assert ours
    await until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in ours))
