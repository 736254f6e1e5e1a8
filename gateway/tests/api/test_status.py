"""GET /v1/status: services, queue and problems."""

import asyncio
from importlib.metadata import version

import pytest
from engine_processes import EngineProcess, SerialTranscriber
from rapl_protocol.models import ModelState
from rapl_protocol.testing import FakeTranscriber
from rapl_service.engine_app import transcriber_app
from rapl_service.testing import served, until

NOWHERE = "http://127.0.0.1:9"
SENSEVOICE = "iic/SenseVoiceSmall"


async def status(fleet) -> dict:
    return (await fleet.http.get("/v1/status")).json()


async def test_each_service_is_shown_by_its_host_and_state(start):
    found = await status(await start(mlx_url="http://user:secret@127.0.0.1:9/below"))
    [sensevoice], [mlx] = (backend["replicas"] for backend in found["backends"])

    assert (sensevoice["state"], sensevoice["running_segments"], sensevoice["parallel"]) == ("ok", 0, 1)
    assert sensevoice["memory_bytes"] > 0
    assert (mlx["host"], mlx["state"], mlx["memory_bytes"]) == ("127.0.0.1:9", "unreachable", None)


async def test_a_problem_has_a_reason_and_a_remedy_of_its_own(start):
    found = await status(await start(mlx_url=NOWHERE))

    assert found["problems"] == [
        {
            "subject": "mlx-service",
            "status": "skipped",
            "reason": "mlx-service at http://127.0.0.1:9 cannot be reached.",
            "remedy": "Start it with `./rapl mlx`, on a Mac with Apple silicon.",
        }
    ]


@pytest.mark.parametrize(("state", "remedy"), [
    (ModelState.LOADING, "Wait until it is ready; `./rapl doctor` shows it."),
    (ModelState.FAILED, "Request it once, or look at the log of sensevoice-service."),
])  # fmt: skip
async def test_a_default_model_that_is_not_ready_is_a_failure_with_doctors_remedy(start, state, remedy):
    [problem] = (await status(await start(FakeTranscriber(SENSEVOICE, state=state))))["problems"]

    assert (problem["subject"], problem["status"], problem["remedy"]) == (SENSEVOICE, "failed", remedy)


async def test_another_model_that_failed_is_a_warning(start):
    [problem] = (await status(await start(mlx=FakeTranscriber("local/model", state=ModelState.FAILED))))["problems"]

    assert (problem["subject"], problem["status"]) == ("local/model", "warning")


async def test_an_engine_is_a_failure_if_the_default_model_needs_it(start):
    found = await status(await start(sensevoice_url=NOWHERE))

    assert [(each["subject"], each["status"]) for each in found["problems"]] == [("sensevoice-service", "failed")]


async def test_a_replica_that_is_missing_is_a_warning_while_another_one_answers(start):
    async with served(transcriber_app(FakeTranscriber(SENSEVOICE))) as url:
        found = await status(await start(sensevoice_url=f"{url},{NOWHERE}"))

    assert [(each["subject"], each["status"]) for each in found["problems"]] == [("sensevoice-service", "warning")]


async def test_an_engine_that_was_there_and_is_gone_is_a_warning(start):
    async with EngineProcess(FakeTranscriber("local/model")) as engine:
        fleet = await start(mlx_url=engine.url)
        before = (await status(fleet))["problems"]
        engine.kill()
        await fleet.transcribe(model="local/model")  # the gateway notices it at the latest now
        after = (await status(fleet))["problems"]

    assert before == []
    assert [(each["subject"], each["status"]) for each in after] == [("mlx-service", "warning")]


async def test_each_service_shows_its_version(fleet):
    found = await status(fleet)
    replicas = [found["preprocess"], *(replica for each in found["backends"] for replica in each["replicas"])]

    assert [replica["version"] for replica in replicas] == ["0.0.1", version("rapl-service"), version("rapl-service")]


async def test_a_fleet_without_problems_has_none(fleet):
    found = await status(fleet)

    assert found["problems"] == []
    assert found["default_model"] == "iic/SenseVoiceSmall"
    assert found["uptime_s"] >= 0


async def test_requests_and_their_audio_are_counted_while_they_run(start):
    engine = SerialTranscriber()
    engine.may_work.clear()
    fleet = await start(engine)
    request = asyncio.create_task(fleet.transcribe())
    await until(lambda: engine.arrived)
    during = await status(fleet)
    engine.may_work.set()
    await request
    after = await status(fleet)

    assert (during["running_requests"], during["queued_audio_s"]) == (1, fleet.speech.duration_s)
    assert during["backends"][0]["replicas"][0]["running_segments"] == 1
    assert (after["running_requests"], after["queued_audio_s"]) == (0, 0)


async def test_the_status_needs_the_key(start):
    fleet = await start(api_keys=("secret-1",))

    assert (await fleet.http.get("/v1/status")).status_code == 401
