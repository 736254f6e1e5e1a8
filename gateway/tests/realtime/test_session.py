"""Whole sessions over a WebSocket: real detection of turns, fake engines."""

import asyncio
import contextlib
import json
import logging

import pytest
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.models import ModelState
from rapl_protocol.testing import FakeTranscriber
from rapl_service.testing import reference_cycles, until
from realtime.client import MANUAL, SPEECH, TEXT, connected
from websockets.exceptions import ConnectionClosed

ITEM = ["input_audio_buffer.committed", "conversation.item.added", "conversation.item.done"]
MODEL = "iic/SenseVoiceSmall"


def deltas(client) -> str:
    return "".join(event["delta"] for event in client.events if event["type"].endswith(".delta"))


async def test_a_turn_that_the_client_commits_has_its_text_and_the_deltas_join_to_it(client):
    await client.update(**MANUAL)
    await client.append(SPEECH)
    await client.commit()
    completed = await client.until(".completed")

    assert completed["transcript"] == deltas(client) == TEXT
    assert completed["usage"] == {"type": "duration", "seconds": pytest.approx(3.06, abs=0.01)}
    assert completed["languages"] == [{"code": "en"}]
    others = [name for name in client.names() if not name.endswith((".delta", ".completed"))]
    assert others == ["session.created", "session.updated", *ITEM]


async def test_detected_turns_have_their_text_in_openais_order(client):
    await client.update(format={"type": "audio/pcm", "rate": 16_000})
    for _ in range(2):
        await client.append(SPEECH + bytes(32_000))
    first, second = await client.until(".completed"), await client.until(".completed")

    assert [first["transcript"], second["transcript"]] == [TEXT, TEXT]
    of_first = [event for event in client.events if event.get("item_id") == first["item_id"]]
    assert [event["type"].rpartition(".")[2] for event in of_first][:3] == [
        "speech_started", "speech_stopped", "committed",
    ]  # fmt: skip
    assert of_first[0]["audio_start_ms"] == pytest.approx(400, abs=300)
    assert of_first[1]["audio_end_ms"] == pytest.approx(2_700, abs=400)
    [committed] = [event for event in client.events if event.get("previous_item_id") and "item" not in event]
    assert (committed["item_id"], committed["previous_item_id"]) == (second["item_id"], first["item_id"])


async def test_a_client_may_send_everything_at_once_before_it_reads(client):
    await client.update(**MANUAL)
    await client.append(SPEECH * 9, piece_bytes=1 << 18)
    await client.commit()

    assert (await client.until(".completed"))["usage"]["seconds"] == pytest.approx(27.5, abs=0.1)


@pytest.mark.parametrize(
    ("given", "audio"),
    [
        ({"type": "audio/pcm"}, bytes(48_000)),
        ({"type": "audio/pcm", "rate": 8_000}, bytes(16_001)),
        ({"type": "audio/pcmu"}, b"\xff" * 8_000),
        ({"type": "audio/pcma"}, b"\xd5" * 8_000),
    ],
)
async def test_every_format_is_counted_in_its_own_seconds(client, given, audio):
    await client.update(format=given, turn_detection=None)
    await client.append(audio)
    await client.commit()

    assert (await client.until(".completed"))["usage"]["seconds"] == pytest.approx(1.0, abs=0.02)


async def test_cleared_audio_has_no_item(client):
    await client.update(**MANUAL)
    await client.append(SPEECH)
    await client.send("input_audio_buffer.clear")
    await client.until(".cleared")
    await client.commit()

    assert (await client.until(".completed"))["transcript"] == ""
    assert client.names().count("input_audio_buffer.committed") == 1


async def test_the_options_of_the_session_go_to_the_engine(start_realtime):
    engine = FakeTranscriber(MODEL, text=TEXT)
    fleet = await start_realtime(engine)
    async with connected(fleet) as client:
        options = {"model": "gpt-4o-transcribe", "language": "de", "prompt": "Grüße", "keywords": ["Ada"]}
        await client.update(**MANUAL, transcription=options)
        await client.append(SPEECH)
        await client.commit()
        await client.until(".completed")

    _, sent = engine.calls[-1]
    assert (sent.language, sent.prompt, sent.keywords) == ("de", "Grüße", ("Ada",))


async def test_an_unknown_model_is_an_error_and_the_session_goes_on(client):
    await client.update(transcription={"model": "no/such"})
    error = await client.until("error")

    assert error["error"]["code"] == "model_not_found"
    await client.update(**MANUAL)
    assert (await client.until("session.updated"))["session"]["audio"]["input"]["turn_detection"] is None


async def test_an_unknown_model_of_the_query_is_an_error_unless_the_update_names_another(realtime):
    async with connected(realtime, "/v1/realtime?model=gpt-realtime") as client:
        await client.update(**MANUAL)
        assert (await client.until("error"))["error"]["code"] == "model_not_found"
        await client.update(**MANUAL, transcription={"model": "whisper-1"})
        await client.append(SPEECH)
        await client.commit()

        assert (await client.until(".completed"))["transcript"] == TEXT


async def test_a_turn_of_a_model_that_does_not_exist_fails_with_the_reason(realtime):
    async with connected(realtime, "/v1/realtime?model=gpt-realtime") as client:
        await client.append(b"\0" * 48_000)
        await client.append(SPEECH)
        await client.commit()
        failed = await client.until(".failed", ".completed")

    assert failed["error"]["code"] == "model_not_found"


async def test_a_failed_turn_is_failed_and_an_error_for_a_client_that_waits_for_nothing_else(start_realtime):
    gone = ServiceError(ErrorCode.UNSUPPORTED_PARAMETER, "it cannot do that", param="language")
    fleet = await start_realtime(FakeTranscriber(MODEL, fails_with=gone))
    async with connected(fleet) as client:
        await client.update(**MANUAL)
        await client.append(SPEECH)
        await client.commit()
        failed, error = await client.until(".failed"), await client.receive()

    assert failed["error"] == {
        "message": "it cannot do that", "type": "invalid_request_error", "param": "language",
        "code": "unsupported_parameter",
    }  # fmt: skip
    assert error["error"] == failed["error"] | {"event_id": None}


async def test_a_turn_waits_for_its_model_to_load(start_realtime):
    engine = FakeTranscriber(MODEL, text=TEXT, state=ModelState.LOADING)
    fleet = await start_realtime(engine)
    async with connected(fleet) as client:
        await client.update(**MANUAL)
        await client.append(SPEECH)
        await client.commit()
        await client.until("conversation.item.done")
        engine.state = ModelState.READY

        assert (await client.until(".completed"))["transcript"] == TEXT


async def test_a_turn_whose_model_is_not_loaded_in_time_fails_with_the_reason(start_realtime, monkeypatch):
    monkeypatch.setattr("rapl_gateway.realtime.sessions.MODEL_WAIT_S", 0.1)
    fleet = await start_realtime(FakeTranscriber(MODEL, state=ModelState.LOADING))
    async with connected(fleet) as client:
        await client.update(**MANUAL)
        await client.append(SPEECH)
        await client.commit()

        assert (await client.until(".failed"))["error"]["code"] == "model_not_ready"


async def test_a_session_with_much_waiting_audio_is_not_read_until_it_has_less_and_loses_nothing(start_realtime):
    fleet = await start_realtime(FakeTranscriber(MODEL, text=TEXT, delay_s=0.05), realtime_max_turn_s=1.0)
    async with connected(fleet) as client:
        await client.update(**MANUAL)
        await client.append(SPEECH)
        await client.commit()
        seconds = 0.0
        while seconds < 3.0:
            seconds += (await client.until(".completed"))["usage"]["seconds"]

    assert seconds == pytest.approx(3.06, abs=0.01)


async def test_without_preprocess_service_the_client_gets_an_error_and_is_disconnected(start_realtime):
    fleet = await start_realtime(preprocess_url="http://127.0.0.1:9", restart_wait_s=0.1)
    async with connected(fleet) as client:
        code, reason = await client.until_closed()

    assert client.events[-1]["error"]["code"] == "backend_unavailable"
    assert (code, reason) == (1011, "speech detection is not available")


async def test_an_idle_session_is_closed_with_the_reason(start_realtime):
    fleet = await start_realtime(realtime_idle_s=0.1)
    async with connected(fleet) as client:
        code, reason = await client.until_closed()

    assert (code, reason) == (1001, "the session was idle for 0.1 s")
    assert "error" not in client.names()


async def test_a_session_that_is_too_long_finishes_its_turn_and_is_closed(start_realtime):
    fleet = await start_realtime(realtime_max_session_s=0.5)
    async with connected(fleet) as client:
        await client.update(**MANUAL)
        await client.append(SPEECH)
        code, reason = await client.until_closed()

    assert (code, reason) == (1001, "a session lasts at most 0.5 s")
    assert client.events[-1]["transcript"] == TEXT


async def test_a_turn_without_a_text_fails_when_an_ended_session_waits_no_longer(start_realtime, monkeypatch):
    monkeypatch.setattr("rapl_gateway.realtime.session.END_S", 0.5)
    fleet = await start_realtime(FakeTranscriber(MODEL, delay_s=60.0), realtime_max_session_s=0.5)
    async with connected(fleet) as client:
        await client.update(**MANUAL)
        await client.append(SPEECH)
        await client.commit()
        code, _ = await client.until_closed()

    assert code == 1001
    [failed] = [event for event in client.events if event["type"].endswith(".failed")]
    assert failed["error"]["code"] == "backend_timeout"


async def test_an_event_that_is_too_large_is_an_error_and_a_larger_message_ends_the_connection(client):
    await client.socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": "A" * (15 << 20)}))
    assert (await client.until("error"))["error"]["code"] == "audio_too_large"
    with contextlib.suppress(ConnectionClosed):  # it may be closed while it is sent
        await client.socket.send("x" * ((16 << 20) + 1))

    assert (await client.until_closed())[0] == 1009


async def test_a_binary_message_is_an_error_that_names_the_right_event(client):
    await client.socket.send(bytes(100))

    assert "input_audio_buffer.append" in (await client.until("error"))["error"]["message"]


async def test_a_session_is_one_line_in_the_log_with_figures_and_without_its_text(start_realtime, caplog):
    caplog.set_level(logging.INFO)
    fleet = await start_realtime(api_keys="sk-secret")
    protocols = ["realtime", "openai-insecure-api-key.sk-secret"]
    async with connected(fleet, subprotocols=protocols) as client:
        await client.update(**MANUAL, transcription={"prompt": "a prompt"})
        await client.append(SPEECH)
        await client.commit()
        await client.until(".completed")
    await until(lambda: "path=/v1/realtime" in caplog.text)

    [line] = [each.getMessage() for each in caplog.records if "path=/v1/realtime" in each.getMessage()]
    assert " status=101 " in line
    assert " model=iic/SenseVoiceSmall audio_s=3.06 turns=1 failed=0 empty=0 errors=0 deltas=" in line
    assert not any(text in caplog.text for text in (TEXT, "sk-secret", "a prompt"))


async def test_the_objects_of_a_session_are_freed_without_the_cycle_collector(start_realtime):
    """Also when the client leaves while a pass over an open turn is at the engine."""
    fleet = await start_realtime(FakeTranscriber(MODEL, text=TEXT, delay_s=0.4))
    with reference_cycles() as found:
        async with connected(fleet) as client:
            await client.update(**MANUAL)
            await client.append(SPEECH)
            await client.commit()
            await client.until(".completed")
            calls = len(fleet.sensevoice.calls)
            await client.append(SPEECH)
            await until(lambda: len(fleet.sensevoice.calls) > calls)
        await asyncio.sleep(0.5)

    assert {name for name in found if not name.startswith("rapl_service.http.")} == set()


async def test_a_client_that_leaves_in_the_middle_of_a_turn_leaves_nothing_behind(start_realtime, caplog):
    fleet = await start_realtime(FakeTranscriber(MODEL, delay_s=5.0), realtime_max_sessions=1)
    async with connected(fleet) as client:
        await client.update(**MANUAL)
        await client.append(SPEECH)
        await client.commit()
        await client.until("conversation.item.done")
    await asyncio.sleep(0.1)
    async with connected(fleet) as client:
        assert (await client.receive())["type"] == "session.created"

    assert "Traceback" not in caplog.text
