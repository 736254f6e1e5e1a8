"""What /metrics and the log say about sessions and their turns."""

import asyncio
import logging

import pytest
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.testing import FakeTranscriber
from rapl_service.telemetry.catalog import OTHER
from rapl_service.testing import until
from realtime.client import MANUAL, SPEECH, TEXT, Client, connected
from scrapes import names, scraped, value

MODEL = "iic/SenseVoiceSmall"
SECRET = "zanzibar-marker"
KEY = "sk-the-key"
SESSIONS, TURNS, NAMES = 10, 50, 20


async def speak(client: Client, pcm: bytes = SPEECH, **given: object) -> None:
    """Sends a turn and commits it."""
    await client.update(**MANUAL, **given)
    await client.append(pcm)
    await client.commit()


async def until_value(fleet, expected: float, name: str, **labels: str) -> None:
    """Waits until a metric has this value; it fails with the test's limit of time if it never has."""
    async with asyncio.timeout(20):
        while value(await scraped(fleet.url), name, **labels) != expected:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def turn_lines(caplog) -> list[dict[str, str]]:
    """The fields of each line about a turn."""
    lines = [record.getMessage() for record in caplog.records if " turn=" in record.getMessage()]
    return [dict(field.split("=", 1) for field in line.split()) for line in lines]


async def test_a_session_is_counted_while_it_is_open_and_when_its_client_has_left(realtime):
    async with connected(realtime) as client:
        await client.receive()
        assert value(await scraped(realtime.url), "rapl_realtime_sessions") == 1

    await until_value(realtime, 0, "rapl_realtime_sessions")
    assert value(await scraped(realtime.url), "rapl_realtime_session_ends_total", ended_by="client") == 1


@pytest.mark.parametrize(
    ("settings", "ended_by"),
    [
        ({"realtime_idle_s": 0.1}, "idle"),
        ({"realtime_max_session_s": 0.1}, "too_long"),
        ({"preprocess_url": "http://127.0.0.1:9", "restart_wait_s": 0.1}, "no_detection"),
    ],
)
async def test_a_session_that_the_server_closes_is_counted_by_the_reason(start_realtime, settings, ended_by):
    fleet = await start_realtime(**settings)
    async with connected(fleet) as client:
        await client.until_closed()

    await until_value(fleet, 0, "rapl_realtime_sessions")
    assert value(await scraped(fleet.url), "rapl_realtime_session_ends_total", ended_by=ended_by) == 1


async def test_a_turn_is_counted_with_its_audio_its_words_and_the_time_that_its_client_waited(realtime):
    async with connected(realtime) as client:
        await speak(client)
        await client.until(".completed")

        samples = await scraped(realtime.url)
    assert value(samples, "rapl_realtime_turns_total", model=MODEL, outcome="completed") == 1
    assert value(samples, "rapl_realtime_audio_seconds_total", model=MODEL) == pytest.approx(3.06, abs=0.01)
    assert value(samples, "rapl_realtime_final_seconds_count") == 1
    whole_s = value(samples, "rapl_realtime_final_seconds_sum")
    assert value(samples, "rapl_realtime_stage_seconds_sum") == pytest.approx(whole_s)
    assert value(samples, "rapl_coverage_count") == 1


async def test_the_time_until_the_text_is_that_of_its_stages_and_begins_with_the_commit(start_realtime, caplog):
    caplog.set_level(logging.INFO)
    fleet = await start_realtime(FakeTranscriber(MODEL, text=TEXT, delay_s=0.3))
    async with connected(fleet) as client:
        await client.update(**MANUAL)
        await client.append(SPEECH[: 32_000 // 2])  # too short for a pass, so only the final pass is at the engine
        await asyncio.sleep(0.3)
        await client.commit()
        await client.until(".completed")

    [line] = turn_lines(caplog)
    samples = await scraped(fleet.url)
    assert (line["model"], line["outcome"], line["audio_s"], line["passes"]) == (MODEL, "completed", "0.50", "0")
    assert line["request_id"].startswith("req_")
    stages = ("prepare_s", "queue_s", "infer_s", "gateway_s")
    assert sum(float(line.get(stage, 0)) for stage in stages) == pytest.approx(float(line["final_s"]), abs=0.001)
    assert value(samples, "rapl_realtime_stage_seconds_sum", stage="infer") >= 0.3
    assert float(line["final_s"]) == pytest.approx(value(samples, "rapl_realtime_final_seconds_sum"), abs=0.001)


async def test_passes_their_lag_and_the_words_that_they_settle_are_counted(start_realtime, caplog):
    caplog.set_level(logging.INFO)
    engine = FakeTranscriber(MODEL, text="we hear a few plain words")  # numbers are settled later
    fleet = await start_realtime(engine)
    async with connected(fleet) as client:
        await client.update(**MANUAL)
        for at in range(0, 96_000, 32_000):
            calls = len(engine.calls)
            await client.append(SPEECH[at : at + 32_000])
            await until(lambda calls=calls: len(engine.calls) > calls)
        while value(await scraped(fleet.url), "rapl_realtime_passes_total", outcome="text") < 3:
            pass  # the third one still gets the first text
        engine.text = "we hear no words"
        await client.append(SPEECH[:32_000])
        await client.commit()
        await client.until(".completed")

    samples, [line] = await scraped(fleet.url), turn_lines(caplog)
    passes = value(samples, "rapl_realtime_passes_total", outcome="text")
    assert passes >= 3
    assert value(samples, "rapl_realtime_lag_seconds_count") == passes
    assert value(samples, "rapl_realtime_settled_words_total") == int(line["settled"]) > 0
    assert value(samples, "rapl_realtime_disagreed_words_total") == int(line["disagreed"]) > 0
    assert int(line["passes"]) == passes


async def test_a_pass_that_the_commit_ends_and_one_that_fails_are_counted(start_realtime):
    failing = FakeTranscriber(MODEL, fails_with=ServiceError(ErrorCode.INTERNAL, "no"))
    slow, fails = await start_realtime(FakeTranscriber(MODEL, delay_s=1.0)), await start_realtime(failing)
    for fleet, outcome in ((slow, "cancelled"), (fails, "failed")):
        async with connected(fleet) as client:
            await client.update(**MANUAL)
            await client.append(SPEECH[:64_000])
            await until(lambda fleet=fleet: fleet.sensevoice.calls)
            await client.append(SPEECH[64_000:])
            await client.commit()
            await client.until(".completed", ".failed")

        assert value(await scraped(fleet.url), "rapl_realtime_passes_total", outcome=outcome) >= 1


async def test_a_failed_turn_is_counted_by_its_error_and_a_cleared_one_as_dropped(start_realtime, caplog):
    caplog.set_level(logging.INFO)
    gone = ServiceError(ErrorCode.UNSUPPORTED_PARAMETER, "it cannot do that", param="language")
    fleet = await start_realtime(FakeTranscriber(MODEL, fails_with=gone))
    async with connected(fleet) as client:
        await speak(client)
        await client.until(".failed")
        await client.receive()  # the error with the same reason
        await client.append(SPEECH)
        await client.send("input_audio_buffer.clear")
        await client.until(".cleared")
    await until(lambda: len(turn_lines(caplog)) == 2)

    samples = await scraped(fleet.url)
    assert value(samples, "rapl_realtime_turns_total", model=MODEL, outcome="unsupported_parameter") == 1
    assert value(samples, "rapl_realtime_turns_total", model=MODEL, outcome="dropped") == 1
    assert [line["outcome"] for line in turn_lines(caplog)] == ["unsupported_parameter", "dropped"]
    assert not any("final_s" in line for line in turn_lines(caplog))


async def test_a_turn_that_an_ended_session_does_not_wait_for_is_counted_by_the_error_that_its_client_gets(
    start_realtime, monkeypatch
):
    monkeypatch.setattr("rapl_gateway.realtime.session.END_S", 0.3)
    fleet = await start_realtime(FakeTranscriber(MODEL, delay_s=60.0), realtime_max_session_s=0.3)
    async with connected(fleet) as client:
        await speak(client)
        await client.until_closed()

    await until_value(fleet, 0, "rapl_realtime_sessions")
    samples = await scraped(fleet.url)
    assert value(samples, "rapl_realtime_turns_total", model=MODEL, outcome="backend_timeout") == 1


async def test_audio_that_waits_for_its_text_is_counted_until_it_has_it(start_realtime):
    fleet = await start_realtime(FakeTranscriber(MODEL, text=TEXT, delay_s=0.5))
    async with connected(fleet) as client:
        await speak(client)
        await client.until("conversation.item.done")
        assert value(await scraped(fleet.url), "rapl_realtime_waiting_audio_bytes", waits_for="text") == len(SPEECH)
        await client.until(".completed")

        assert value(await scraped(fleet.url), "rapl_realtime_waiting_audio_bytes") == 0


async def test_the_names_of_models_in_realtime_sessions_do_not_make_the_metrics_grow(realtime):
    """10,000 names, each one that the catalog allows by a pattern and that no engine has. The turns fail."""

    async def ask_for_names(session: int) -> None:
        async with connected(realtime, f"/v1/realtime?model={SECRET}-{session}") as client:
            for turn in range(TURNS):
                for number in range(NAMES):
                    name = f"mlx-community/{SECRET}-{session}-{turn}-{number}"
                    await client.update(**MANUAL, transcription={"model": name})
                await client.append(SPEECH[:3_200])
                await client.commit()
                await client.until(".failed")
                await client.receive()  # the error with the same reason

    before = names(await scraped(realtime.url))
    await asyncio.gather(*map(ask_for_names, range(SESSIONS)))

    async with connected(realtime, f"/v1/realtime?model={SECRET}") as client:
        await client.append(SPEECH + bytes(48_000))
        await client.until(".failed")
    await until_value(realtime, 0, "rapl_realtime_sessions")
    samples = await scraped(realtime.url)
    assert value(samples, "rapl_realtime_turns_total", model=OTHER) == SESSIONS * TURNS + 1
    assert SECRET not in str(samples)
    of_models = {each for each in names(samples) - before if "model" in dict(each[1:])}
    assert {dict(each[1:])["model"] for each in of_models} == {OTHER, ""}
    assert len(of_models) < 10


async def test_a_key_a_prompt_and_a_transcript_are_in_no_metric_and_no_line_of_a_session(start_realtime, caplog):
    caplog.set_level(logging.DEBUG, logger="rapl")
    fleet = await start_realtime(FakeTranscriber(MODEL, text=SECRET), api_keys=KEY)
    headers = {"authorization": f"Bearer {KEY}"}
    async with connected(fleet, f"/v1/realtime?model={SECRET}", additional_headers=headers) as client:
        await client.send(SECRET, event_id=SECRET)
        await client.until("error")
        await speak(client, transcription={"model": MODEL, "prompt": SECRET, "keywords": [SECRET]})
        assert (await client.until(".completed"))["transcript"] == SECRET
        await client.send("conversation.item.retrieve", item_id=SECRET)
        await client.until("error")
    async with connected(fleet, f"/v1/realtime?model={SECRET}", additional_headers=headers) as client:
        await client.receive()
    await until(lambda: caplog.text.count("path=/v1/realtime") == 2)

    text = str(await scraped(fleet.url, authorization=f"Bearer {KEY}"))
    assert "rapl_realtime_turns_total" in text
    assert turn_lines(caplog)
    for secret in (SECRET, KEY):
        assert secret not in text
        assert secret not in caplog.text
