"""A speaker-service that is not configured, down, dying or slow, and what the gateway reports about it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import openai
import pytest
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.models import ModelState
from rapl_service.testing import FakeSpeakerService, reference_cycles, served, until
from scrapes import scraped, value
from speakers.conversation import DIARIZING, NOWHERE, TEXT, TWO, Talker, diarize, reached


@pytest.mark.parametrize("stream", ["false", "true"])
async def test_without_a_speaker_service_a_request_for_speakers_says_how_to_get_one(start, stream):
    answer = await diarize(await start(), stream=stream)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "unsupported_parameter", "response_format")
    assert "./rapl up --speakers" in error["message"]
    assert "RAPL_SPEAKERS_URL" in error["message"]


@pytest.mark.parametrize("stream", ["false", "true"])
@pytest.mark.parametrize("words", [True, False])
async def test_a_speaker_service_that_is_down_is_a_503_that_says_how_to_start_it(start, stream, words):
    fleet = await start(Talker(words=words), speakers_url=NOWHERE)

    answer = await diarize(fleet, stream=stream)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (503, "backend_unavailable")
    assert "./rapl up --speakers" in error["message"]
    assert fleet.sensevoice.calls == []


@asynccontextmanager
async def dying_service() -> AsyncIterator[str]:
    """A service that closes every connection after the first bytes of a body."""

    async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 16)
        writer.transport.abort()

    async with await asyncio.start_server(die, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("words", [True, False])
async def test_a_speaker_service_that_dies_in_the_middle_is_a_503(start, words):
    async with dying_service() as url:
        answer = await diarize(await start(Talker(words=words), speakers_url=url), b"SPEECH:40")

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "backend_unavailable")
    assert "closed the connection" in answer.json()["error"]["message"]


async def test_a_stream_says_that_the_speakers_are_lost_after_its_text(start, speakers):
    speakers.fails_with = ServiceError(ErrorCode.MODEL_NOT_READY, "it went away")
    fleet = await start(Talker(), speakers_url=speakers.url)

    stream = await fleet.openai.audio.transcriptions.create(
        file=b"SPEECH:2", model=DIARIZING, response_format="diarized_json", stream=True
    )
    texts: list[str] = []

    async def read() -> None:
        async for event in stream:
            texts.append(event.delta)

    with pytest.raises(openai.APIError, match="it went away"):
        await read()
    assert "".join(texts) == TEXT


async def test_the_client_sends_the_token(start, speakers):
    fleet = await start(Talker(), speakers_url=speakers.url, speakers_token="secret")

    await diarize(fleet)

    assert speakers.headers[0]["authorization"] == "Bearer secret"


async def test_the_models_say_whether_speakers_can_be_told_apart(start, speakers):
    async def can(fleet) -> set[bool]:
        models = (await fleet.http.get("/v1/models")).json()["data"]
        return {model["capabilities"]["speakers"] for model in models if "capabilities" in model}

    with_service, without = await start(speakers_url=speakers.url), await start()

    await reached(with_service)
    assert await can(with_service) == {True}
    assert await can(without) == {False}


async def test_openais_name_is_listed_if_there_is_a_speaker_service(start, speakers):
    async def names(fleet) -> list[str]:
        return [model.id async for model in fleet.openai.models.list()]

    with_service, down = await start(speakers_url=speakers.url), await start(speakers_url=NOWHERE)
    await reached(with_service)

    assert DIARIZING in await names(with_service)
    assert DIARIZING not in await names(down)


async def test_the_status_has_the_service_and_its_problems(start, speakers):
    speakers.state = ModelState.LOADING
    fleet = await start(speakers_url=speakers.url)
    down, without = await start(speakers_url=NOWHERE), await start()

    async def status(fleet) -> dict:
        return (await fleet.http.get("/v1/status")).json()

    await reached(fleet)
    found = await status(fleet)
    [process] = found["speakers"]["replicas"]
    assert (process["state"], process["version"]) == ("ok", "0.0.1")
    assert (found["speakers"]["model"]["id"], found["speakers"]["model"]["state"]) == ("rapl/speakers", "loading")
    [problem] = [each for each in found["problems"] if each["subject"] == "speaker-service"]
    assert problem["status"] == "warning"
    assert "loading" in problem["reason"]
    [problem] = [each for each in (await status(down))["problems"] if each["subject"] == "speaker-service"]
    assert problem["status"] == "skipped"
    assert "./rapl up --speakers" in problem["remedy"]
    assert (await status(without))["speakers"] is None


async def test_the_metrics_count_what_fails_at_the_service(start, speakers):
    speakers.fails_with = ServiceError(ErrorCode.OVERLOADED, "too much")
    fleet = await start(Talker(), speakers_url=speakers.url)

    assert (await diarize(fleet)).status_code == 429
    samples = await scraped(fleet.url)
    assert value(samples, "rapl_backend_failures_total", backend="speaker-service", code="overloaded") == 1
    assert value(samples, "rapl_replicas", backend="speaker-service") == 1
    assert value(samples, "rapl_stage_seconds_count", stage="speakers") == 1


class Silent(FakeSpeakerService):
    """A service that reads everything and never answers."""

    async def _diarize(self, request):
        await super()._diarize(request)
        await asyncio.Event().wait()


@asynccontextmanager
async def silent_service() -> AsyncIterator[FakeSpeakerService]:
    service = Silent()
    async with served(service.app()) as service.url:
        yield service


async def test_a_service_that_does_not_answer_is_a_504(start):
    async with silent_service() as service:
        fleet = await start(Talker(), speakers_url=service.url, deadline_base_s=2.0, deadline_per_audio_s=0)
        answer = await diarize(fleet)

    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "backend_timeout")


async def test_the_service_has_no_work_for_a_client_that_has_left(start):
    async with silent_service() as service:
        fleet = await start(Talker(), speakers_url=service.url)
        request = asyncio.create_task(diarize(fleet))
        await until(lambda: len(service.speech) == 2)

        async def running() -> int:
            return (await fleet.http.get("/v1/status")).json()["speakers"]["replicas"][0]["running_segments"]

        assert await running() == 1
        request.cancel()
        async with asyncio.timeout(10):
            while await running():  # noqa: ASYNC110
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("is_down", [True, False])
async def test_a_request_leaves_no_audio_in_reference_cycles(start, speakers, is_down):
    speakers.turns = TWO
    fleet = await start(Talker(), speakers_url=NOWHERE if is_down else speakers.url)
    await diarize(fleet)

    with reference_cycles() as cycles:
        await diarize(fleet)

    # aiohttp has a cycle for each connection that is refused, and the call is in it.
    assert cycles <= ({"rapl_service.calls.call.Call"} if is_down else set())
