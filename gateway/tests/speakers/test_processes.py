"""Several processes of speaker-service, and one that dies or restarts."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Generic, TypeVar

import pytest
from rapl_protocol.models import ModelState
from rapl_service.testing import FakeSpeakerService, served, until
from speakers.conversation import NOWHERE, TWO, Talker, diarize, reached, replicas

S = TypeVar("S", bound=FakeSpeakerService)


class Waiting(FakeSpeakerService):
    """It answers when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = TWO
        self.may_end = asyncio.Event()

    async def _diarize(self, request):
        answer = await super()._diarize(request)
        await self.may_end.wait()
        return answer


@asynccontextmanager
async def running(service: S) -> AsyncIterator[S]:
    async with served(service.app()) as service.url:
        yield service


class Restarting(Generic[S]):
    """An address at which a service is started and stopped."""

    def __init__(self, service: S) -> None:
        self.service = service
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._server: asyncio.Server | None = None
        self._connections: list[asyncio.WriteTransport] = []

    async def start(self) -> None:
        """Passes connections on to the service."""
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", self.port)

    def stop(self) -> None:
        assert self._server
        self._server.close()
        self.break_connections()

    def break_connections(self) -> None:
        for connection in self._connections:
            connection.abort()
        self._connections.clear()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.append(writer.transport)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", int(self.service.url.rpartition(":")[2]))
        await asyncio.wait(
            [asyncio.create_task(_copy(reader, far_writer)), asyncio.create_task(_copy(far_reader, writer))],
            return_when=asyncio.FIRST_COMPLETED,
        )
        far_writer.close()
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()


@pytest.fixture
async def restarting(speakers) -> AsyncIterator[Restarting[FakeSpeakerService]]:
    speakers.turns = TWO
    service = Restarting(speakers)
    await service.start()
    yield service
    service.stop()


@pytest.fixture
async def mortal() -> AsyncIterator[Restarting[Waiting]]:
    """A service that answers when it may, and whose connections can be broken."""
    async with running(Waiting()) as waiting:
        service = Restarting(waiting)
        await service.start()
        yield service
        waiting.may_end.set()
        service.stop()


async def test_a_request_goes_to_the_process_that_can_be_reached(start, speakers):
    speakers.turns = TWO
    fleet = await start(Talker(), speakers_url=f"{NOWHERE},{speakers.url}")

    for _ in range(3):
        assert (await diarize(fleet)).status_code == 200
    assert {*(await replicas(fleet)).values()} == {"unreachable", "ok"}


async def test_requests_go_to_the_process_with_the_fewest(start):
    async with running(Waiting()) as first, running(Waiting()) as second:
        fleet = await start(Talker(), speakers_url=f"{first.url},{second.url}")
        requests = [asyncio.create_task(diarize(fleet)) for _ in range(4)]
        await until(lambda: len(first.headers) + len(second.headers) == 4)
        first.may_end.set()
        second.may_end.set()
        answers = await asyncio.gather(*requests)

    assert [answer.status_code for answer in answers] == [200] * 4
    assert (len(first.headers), len(second.headers)) == (2, 2)


@pytest.mark.parametrize("words", [True, False])
@pytest.mark.parametrize("stream", ["false", "true"])
async def test_a_recording_whose_service_dies_is_sent_once_more(start, mortal, words, stream):
    fleet = await start(Talker(words=words), speakers_url=mortal.url)
    request = asyncio.create_task(diarize(fleet, stream=stream))
    await until(lambda: len(mortal.service.speech) == 2)
    mortal.service.may_end.set()
    mortal.break_connections()
    answer = await request

    assert answer.status_code == 200
    assert "error" not in answer.text
    assert len(mortal.service.options) == 2
    assert len(fleet.sensevoice.calls) == (2 if words else 4)  # without words, one for each piece


async def test_a_recording_that_kills_the_service_twice_is_a_503(start, mortal):
    fleet = await start(Talker(), speakers_url=mortal.url)
    request = asyncio.create_task(diarize(fleet))
    for times in (1, 2):
        await until(lambda times=times: len(mortal.service.speech) == 2 * times)
        mortal.break_connections()
    answer = await request

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "backend_unavailable")
    assert len(mortal.service.options) == 2


@pytest.mark.parametrize("words", [True, False])
async def test_a_request_waits_for_a_service_that_restarts(start, restarting, words):
    fleet = await start(Talker(words=words), speakers_url=restarting.url)
    await reached(fleet)
    restarting.stop()
    request = asyncio.create_task(diarize(fleet))
    await asyncio.sleep(1.0)
    assert not request.done()
    await restarting.start()

    assert (await request).status_code == 200


async def test_a_service_that_stays_down_is_a_503_after_a_short_wait(start, restarting):
    fleet = await start(Talker(), speakers_url=restarting.url, restart_wait_s=0.3)
    await reached(fleet)
    restarting.stop()

    answer = await diarize(fleet)

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "backend_unavailable")
    assert "./rapl up --speakers" in answer.json()["error"]["message"]
    await restarting.start()


async def test_a_request_waits_for_a_model_that_is_loaded_again_after_a_restart(start, speakers):
    speakers.turns = TWO
    fleet = await start(Talker(), speakers_url=speakers.url, restart_wait_s=1.0)
    await reached(fleet)
    speakers.state = ModelState.LOADING
    polls = speakers.polls
    await until(lambda: speakers.polls >= polls + 2)
    request = asyncio.create_task(diarize(fleet))
    await until(lambda: speakers.polls >= polls + 6)
    assert not request.done()
    speakers.state = ModelState.READY

    assert (await request).status_code == 200


async def test_a_model_that_is_being_downloaded_is_not_waited_for(start, speakers):
    speakers.state = ModelState.DOWNLOADING
    fleet = await start(Talker(), speakers_url=speakers.url)
    await reached(fleet)

    answer = await diarize(fleet)

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "model_not_ready")


async def test_a_request_without_speakers_neither_waits_for_a_diarization_nor_reaches_the_service(start):
    async with running(Waiting()) as service:
        fleet = await start(Talker(), speakers_url=service.url)
        diarization = asyncio.create_task(diarize(fleet))
        await until(lambda: len(service.speech) == 2)

        answers = [await fleet.transcribe(file) for file in (b"SPEECH:1", b"SPEECH:4")]

        assert [answer.status_code for answer in answers] == [200, 200]
        assert not diarization.done()
        assert (len(service.headers), len(service.speech)) == (1, 2)
        service.may_end.set()
        assert (await diarization).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "change"), [("POST", "/load", "load"), ("POST", "/unload", "unload"), ("DELETE", "", "DELETE")]
)
async def test_its_model_is_loaded_unloaded_and_removed_by_its_name(start, speakers, method, path, change):
    fleet = await start(speakers_url=speakers.url)

    answer = await fleet.http.request(method, f"/v1/models/rapl/speakers{path}")

    assert (answer.status_code, answer.json()["state"]) == (200, "ready")
    assert speakers.changes == [change]
    assert (await fleet.http.get("/v1/models/rapl/speakers")).json()["owned_by"] == "speaker-service"


async def test_its_model_is_not_among_those_that_transcribe(start, speakers):
    fleet = await start(speakers_url=speakers.url)

    assert "rapl/speakers" not in [model["id"] for model in (await fleet.http.get("/v1/models")).json()["data"]]
    assert (await (await start()).http.get("/v1/models/rapl/speakers")).status_code == 404
