"""Several gateways before the same replicas: each knows only the segments that it sent itself."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from engine_processes import SerialTranscriber
from rapl_gateway.backends.load import CallOptions
from rapl_gateway.backends.replica import Replica
from rapl_gateway.backends.scheduler import Scheduler
from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.models import ModelInfo, ModelState
from rapl_protocol.transcript import TranscribeOptions, Transcript
from rapl_service.calls.call import Service
from rapl_service.engine_app import transcriber_app
from rapl_service.fair_queue import BoundedQueue
from rapl_service.testing import served, until

ENGINE_LIMIT = 4


class BoundedTranscriber(SerialTranscriber):
    """Refuses requests beyond a limit, as the queues of the real engines do."""

    def __init__(self) -> None:
        super().__init__(delay_s=0.01)
        self.refused = 0
        self._requests: BoundedQueue[object] = BoundedQueue(ENGINE_LIMIT)

    async def transcribe(self, audio, options: TranscribeOptions, on_text=None) -> Transcript:
        request = object()
        try:
            self._requests.add(request, is_long=options.is_long)
        except ServiceError:
            self.refused += 1
            raise
        try:
            return await super().transcribe(audio, options, on_text)
        finally:
            self._requests.remove(request)


@pytest.fixture
async def engine() -> AsyncIterator[tuple[BoundedTranscriber, str]]:
    transcriber = BoundedTranscriber()
    async with served(transcriber_app(transcriber)) as url:
        yield transcriber, url


@pytest.mark.parametrize("fields", [{}, {"stream": "true"}])
async def test_a_segment_that_an_engine_with_a_full_queue_refuses_waits_in_its_gateway(engine, start, fields):
    transcriber, url = engine
    gateways = [await start(sensevoice_url=url) for _ in range(2)]
    for gateway in gateways:
        await gateway.http.get("/v1/models")
    transcriber.may_work.clear()
    requests = [asyncio.create_task(gateway.transcribe(**fields)) for gateway in gateways for _ in range(8)]
    await until(lambda: transcriber.refused)
    transcriber.may_work.set()

    answers = await asyncio.gather(*requests)
    assert {answer.status_code for answer in answers} == {200}
    assert not any("event: error" in answer.text for answer in answers)


class Server:
    """A fake engine of one kind, whose queue is always full."""

    poll_interval_s = 1.0

    def __init__(self, number: int, *, has_bounded_queue: bool, error: ServiceError | None = None) -> None:
        self.service = Service("engine", f"http://127.0.0.1:{9000 + number}", "Start it.")
        self.has_bounded_queue = has_bounded_queue
        self._error = error

    async def transcribe(self, audio, options, *, deadline_s, request_id=None):
        if self._error:
            raise self._error
        return Transcript(text=self.service.url, duration_s=audio.duration_s)


def scheduler(*servers: Server) -> Scheduler:
    found = Scheduler("backend", restart_wait_s=0.01)
    ready = ModelInfo(id="model", state=ModelState.READY)
    found.replicas += [Replica(server, found.schedule, [ready]) for server in servers]
    return found


async def transcribed(by: Scheduler, deadline_s: float = 5.0) -> str:
    call = CallOptions("ada", deadline_s, request_id=None, has_fallback=False)
    return (await by.transcribe(WavAudio(bytes(32_000)), TranscribeOptions(model="model"), call)).text


async def test_idle_gateways_do_not_all_choose_the_same_replica():
    servers = [Server(number, has_bounded_queue=True) for number in range(4)]
    chosen = Counter([await transcribed(scheduler(*servers)) for _ in range(200)])

    assert len(chosen) == 4
    assert max(chosen.values()) < 100


async def test_a_refused_segment_goes_to_another_replica_at_once():
    full = ServiceError(ErrorCode.OVERLOADED, "full", retry_after_s=60)
    by = scheduler(Server(0, has_bounded_queue=True, error=full), Server(1, has_bounded_queue=True))

    assert {await transcribed(by, deadline_s=0.4) for _ in range(8)} == {"http://127.0.0.1:9001"}


async def test_a_segment_that_no_engine_takes_before_its_deadline_is_a_timeout():
    full = ServiceError(ErrorCode.OVERLOADED, "full", retry_after_s=60)

    with pytest.raises(ServiceError) as caught:
        await transcribed(scheduler(Server(0, has_bounded_queue=True, error=full)), deadline_s=0.1)
    assert caught.value.code is ErrorCode.BACKEND_TIMEOUT


async def test_the_limit_of_another_server_is_passed_on_at_once():
    limited = ServiceError(ErrorCode.OVERLOADED, "slow down", retry_after_s=60)

    with pytest.raises(ServiceError) as caught:
        await transcribed(scheduler(Server(0, has_bounded_queue=False, error=limited)))
    assert caught.value is limited
