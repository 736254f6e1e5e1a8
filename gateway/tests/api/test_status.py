"""GET /v1/status: services, queue and problems."""

import asyncio

from engine_processes import SerialTranscriber
from rapl_service.testing import until

NOWHERE = "http://127.0.0.1:9"


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
            "reason": "mlx-service at http://127.0.0.1:9 cannot be reached.",
            "remedy": "Start it with `./rapl mlx`, on a Mac with Apple silicon.",
        }
    ]


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
