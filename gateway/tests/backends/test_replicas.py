"""Several replicas behind one backend: which one gets a segment, and what happens when one dies."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from engine_processes import EngineProcess, MortalTranscriber, SerialTranscriber
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.models import ModelState
from rapl_protocol.testing import FakeTranscriber, make_tone
from rapl_service.engine_app import transcriber_app
from rapl_service.testing import served
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

MODEL = "iic/SenseVoiceSmall"
PAUSE_S = 0.02


async def until(condition) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(PAUSE_S)


async def restart(engine: EngineProcess, state: ModelState) -> None:
    """Kills it, and starts it again with its models in this state."""
    engine.kill()
    engine.transcriber.state = state
    await engine.start()


@pytest.fixture
async def two() -> AsyncIterator[list[EngineProcess]]:
    async with (
        EngineProcess(SerialTranscriber(text="one", delay_s=0.1)) as one,
        EngineProcess(SerialTranscriber(text="two", delay_s=0.1)) as other,
    ):
        yield [one, other]


@pytest.fixture
async def fleet(two, start):
    fleet = await start(sensevoice_url=f"{two[0].url}, {two[1].url}")
    await fleet.http.get("/v1/models")
    return fleet


async def test_several_urls_share_the_work(two, fleet):
    engines = [process.transcriber for process in two]
    for engine in engines:
        engine.may_work.clear()
    requests = [asyncio.create_task(fleet.transcribe()) for _ in range(8)]
    await until(lambda: sum(engine.arrived for engine in engines) == 8)
    for engine in engines:
        engine.may_work.set()

    answers = await asyncio.gather(*requests)
    assert sorted(answer.json()["text"] for answer in answers) == ["one"] * 4 + ["two"] * 4


async def test_the_replica_with_the_least_audio_is_next(two, fleet):
    long = asyncio.create_task(fleet.transcribe(make_tone(8.0).to_wav()))
    await until(lambda: two[0].transcriber.began or two[1].transcriber.began)
    [busy, free] = two if two[0].transcriber.began else two[::-1]

    await asyncio.gather(fleet.transcribe(), fleet.transcribe(), long)

    assert (len(busy.transcriber.began), len(free.transcriber.began)) == (1, 2)


async def test_killing_a_replica_under_load_loses_nothing(two, fleet):
    requests = [asyncio.create_task(fleet.transcribe()) for _ in range(12)]
    await until(lambda: two[0].transcriber.began and two[1].transcriber.began)
    two[0].kill()

    assert {(await request).status_code for request in requests} == {200}


async def test_killing_two_of_three_replicas_one_after_the_other_loses_nothing(start):
    async with AsyncExitStack() as stack:
        engines = [await stack.enter_async_context(EngineProcess(SerialTranscriber(text="text"))) for _ in range(3)]
        for engine in engines:
            engine.transcriber.may_work.clear()
        fleet = await start(sensevoice_url=",".join(engine.url for engine in engines))
        await fleet.http.get("/v1/models")
        waiting = [asyncio.create_task(fleet.transcribe()) for _ in range(9)]
        await until(lambda: [engine.transcriber.arrived for engine in engines] == [3, 3, 3])
        for number, engine in enumerate(engines[:2], 1):
            engine.kill()
            await until(lambda number=number: sum(each.transcriber.arrived for each in engines) >= 9 + 3 * number)
        engines[2].transcriber.may_work.set()
        answers = [await each for each in waiting]

    assert [answer.status_code for answer in answers] == [200] * 9


async def test_a_replica_that_restarted_is_used_again(two, fleet):
    two[0].kill()
    assert [(await fleet.transcribe()).json()["text"] for _ in range(3)] == ["two"] * 3
    await two[0].start()

    async def texts() -> set[str]:
        return {answer.json()["text"] for answer in await asyncio.gather(fleet.transcribe(), fleet.transcribe())}

    async with asyncio.timeout(20):
        while await texts() != {"one", "two"}:
            pass


async def test_an_engine_is_found_on_a_port_that_another_program_had_at_first(start):
    engine = transcriber_app(FakeTranscriber(MODEL, text="the engine"))
    is_there = asyncio.Event()

    async def port(scope: Scope, receive: Receive, send: Send) -> None:
        somebody_else = PlainTextResponse("It works!")
        await (engine if is_there.is_set() or scope["type"] != "http" else somebody_else)(scope, receive, send)

    async with served(port) as url:
        fleet = await start(sensevoice_url=url)
        await fleet.http.get("/v1/models")
        answer = await fleet.transcribe()
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "backend_unavailable")
        is_there.set()
        async with asyncio.timeout(20):
            while (await fleet.transcribe()).status_code != 200:
                pass


async def test_audio_that_kills_its_engine_is_retried_once(start):
    engines = [MortalTranscriber(MODEL) for _ in range(3)]
    async with AsyncExitStack() as stack:
        for engine in engines:
            engine.process = await stack.enter_async_context(EngineProcess(engine))
        fleet = await start(sensevoice_url=",".join(engine.process.url for engine in engines))
        await fleet.http.get("/v1/models")
        answer = await fleet.transcribe()

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "backend_unavailable")
    assert sum(len(engine.calls) for engine in engines) == 2


async def test_a_refusal_is_not_retried(two, fleet):
    for process in two:
        process.transcriber.fails_with = ServiceError(ErrorCode.AUDIO_UNDECODABLE, "no")

    assert (await fleet.transcribe()).status_code == 400
    assert sum(len(process.transcriber.calls) for process in two) == 1


async def test_a_model_that_one_replica_has_not_loaded_is_served_by_the_other(two, fleet):
    two[0].transcriber.state = ModelState.LOADING

    assert [(await fleet.transcribe()).json()["text"] for _ in range(3)] == ["two"] * 3


async def test_a_stream_is_retried_only_before_its_first_word(two, fleet):
    streams = [asyncio.create_task(fleet.transcribe(stream="true")) for _ in range(4)]
    await until(lambda: two[0].transcriber.began and two[1].transcriber.began)
    two[0].kill()

    for stream in streams:
        answer = await stream
        assert "event: error" not in answer.text
        assert "transcript.text.done" in answer.text


@pytest.fixture
async def names(monkeypatch) -> dict[str, list[str]]:
    """A fake resolver with several addresses for a name, as Docker's has for `--scale`; a test may change them."""
    addresses: dict[str, list[str]] = {}
    loop = asyncio.get_running_loop()
    real = loop.getaddrinfo

    async def resolve(host, port, **options):
        if host not in addresses:
            return await real(host, port, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses[host]]

    monkeypatch.setattr(loop, "getaddrinfo", resolve)
    return addresses


async def test_every_address_of_a_name_is_a_replica(two, start, names):
    port = int(two[0].url.rpartition(":")[2])
    names["engine"] = ["127.0.0.1", "127.0.0.2"]
    async with EngineProcess(SerialTranscriber(text="far", delay_s=0.1), "127.0.0.2", port):
        fleet = await start(sensevoice_url=f"http://engine:{port}")
        await fleet.http.get("/v1/models")
        answers = await asyncio.gather(*(fleet.transcribe() for _ in range(4)))

    assert sorted(answer.json()["text"] for answer in answers) == ["far", "far", "one", "one"]


async def test_a_new_address_of_a_name_is_found(two, start, names, monkeypatch):
    monkeypatch.setattr("rapl_gateway.backends.backend.RESOLVE_INTERVAL_S", 0.05)
    port = int(two[0].url.rpartition(":")[2])
    names["engine"] = ["127.0.0.1"]
    far = SerialTranscriber(text="far", delay_s=0.1)
    async with EngineProcess(far, "127.0.0.2", port):
        fleet = await start(sensevoice_url=f"http://engine:{port}", restart_wait_s=0)
        names["engine"].append("127.0.0.2")
        async with asyncio.timeout(20):
            while not far.began:
                await asyncio.gather(fleet.transcribe(), fleet.transcribe())
        names["engine"].remove("127.0.0.1")
        async with asyncio.timeout(20):
            while (await fleet.transcribe()).json()["text"] != "far":
                pass


class TestASingleReplica:
    @pytest.fixture
    async def engine(self):
        async with EngineProcess(SerialTranscriber(text="back again", delay_s=0.05)) as engine:
            yield engine

    async def test_that_restarts_quickly_loses_nothing(self, start, engine):
        fleet = await start(sensevoice_url=engine.url)
        assert (await fleet.transcribe()).status_code == 200
        engine.kill()
        requests = [asyncio.create_task(fleet.transcribe()) for _ in range(5)]
        await asyncio.sleep(0.3)
        await engine.start()

        assert {(await request).json()["text"] for request in requests} == {"back again"}

    async def test_that_restarts_and_is_still_loading_loses_nothing(self, start, engine):
        fleet = await start(sensevoice_url=engine.url)
        assert (await fleet.transcribe()).status_code == 200
        engine.kill()
        engine.transcriber.state = ModelState.LOADING
        request = asyncio.create_task(fleet.transcribe())
        await engine.start()
        await asyncio.sleep(0.3)
        engine.transcriber.state = ModelState.READY

        assert (await request).json()["text"] == "back again"

    async def test_that_loads_for_long_after_a_restart_is_waited_for_without_further_requests(self, start, engine):
        fleet = await start(sensevoice_url=engine.url, restart_wait_s=1.0)
        assert (await fleet.transcribe()).status_code == 200
        await restart(engine, ModelState.LOADING)
        request = asyncio.create_task(fleet.transcribe())
        await asyncio.sleep(2.5)
        assert not request.done()
        engine.transcriber.state = ModelState.READY

        assert (await request).json()["text"] == "back again"
        assert len(engine.transcriber.began) <= 5

    async def test_whose_model_fails_after_a_restart_is_a_503_after_a_short_wait(self, start, engine):
        fleet = await start(sensevoice_url=engine.url, restart_wait_s=0.3)
        assert (await fleet.transcribe()).status_code == 200
        await restart(engine, ModelState.FAILED)

        answer = await fleet.transcribe()
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "model_not_ready")

    async def test_that_stays_down_is_a_503_after_a_short_wait(self, start, engine):
        fleet = await start(sensevoice_url=engine.url, restart_wait_s=0.3)
        assert (await fleet.transcribe()).status_code == 200
        engine.kill()

        answer = await fleet.transcribe()
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "backend_unavailable")
        assert answer.headers["retry-after"]

    async def test_that_stays_down_longer_is_waited_for_by_a_long_recording(self, start, engine):
        fleet = await start(sensevoice_url=engine.url, restart_wait_s=0.5)
        assert (await fleet.transcribe()).status_code == 200
        engine.kill()
        requests = [asyncio.create_task(fleet.transcribe(make_tone(s).to_wav())) for s in (1.0, 29.0)]
        await asyncio.sleep(1.5)
        await engine.start()

        assert [(await request).status_code for request in requests] == [503, 200]

    async def test_that_was_never_ready_is_a_503_at_once(self, start):
        fleet = await start(sensevoice_url="http://127.0.0.1:9", restart_wait_s=3600)

        assert (await fleet.transcribe()).status_code == 503


class TestFallback:
    @pytest.fixture
    def toml(self, tmp_path):
        text = f'[models."{MODEL}"]\nbackend = "sensevoice"\nfallback = ["local/model"]\n'
        (tmp_path / "rapl.toml").write_text(text + '[models."local/model"]\nbackend = "mlx"\n')

    @pytest.mark.parametrize("stream", ["false", "true"])
    async def test_a_declared_model_takes_over_and_a_header_names_it(self, toml, start, stream):
        fleet = await start(sensevoice_url="http://127.0.0.1:9", mlx=FakeTranscriber("local/model", text="stand-in"))
        answer = await fleet.transcribe(stream=stream)

        assert "stand-in" in answer.text
        assert answer.headers["x-rapl-fallback"] == "local/model"

    async def test_a_declared_model_takes_over_from_one_that_loads_for_long_after_a_restart(self, toml, start):
        async with EngineProcess(SerialTranscriber(text="back again")) as engine:
            standing_in = FakeTranscriber("local/model", text="stand-in")
            fleet = await start(sensevoice_url=engine.url, mlx=standing_in, restart_wait_s=0.5)
            assert (await fleet.transcribe()).json()["text"] == "back again"
            await restart(engine, ModelState.LOADING)

            assert (await fleet.transcribe()).json()["text"] == "stand-in"

    async def test_no_model_takes_over_while_the_requested_one_is_ready(self, toml, start):
        fleet = await start()

        assert "x-rapl-fallback" not in (await fleet.transcribe()).headers

    async def test_no_model_takes_over_after_a_refusal(self, toml, start):
        refusing = FakeTranscriber(MODEL, fails_with=ServiceError(ErrorCode.UNSUPPORTED_PARAMETER, "no"))
        fleet = await start(refusing)

        assert (await fleet.transcribe()).status_code == 400
        assert fleet.mlx.calls == []

    async def test_no_model_takes_over_that_was_not_declared(self, start):
        fleet = await start(sensevoice_url="http://127.0.0.1:9")

        assert (await fleet.transcribe()).status_code == 503
