"""Attack: clients of a session that send too much, too little or nonsense. The session goes on, or ends alone."""

import asyncio

import pytest
from realtime.client import MANUAL, SPEECH, TEXT, connected

MANY = 9_000
"""More messages than a session may keep of those that have no audio."""


async def is_served(client) -> bool:
    await client.update(**MANUAL)
    await client.append(SPEECH)
    await client.commit()
    return (await client.until(".completed"))["transcript"] == TEXT


async def test_endless_updates_without_audio_do_not_stop_the_session(client):
    for n in range(MANY):
        await client.update(**MANUAL, transcription={"prompt": str(n)})
        if n % 500 == 0:
            await client.until("session.updated")

    assert await is_served(client)


async def test_thousands_of_commits_without_audio_are_as_many_empty_items(client):
    async def completed(count: int) -> list[str]:
        return [(await client.until(".completed"))["transcript"] for _ in range(count)]

    receiving = asyncio.create_task(completed(MANY))
    for _ in range(MANY):
        await client.commit()

    assert set(await receiving) == {""}
    assert await is_served(client)


async def test_ten_thousand_tiny_appends_are_one_turn(client):
    await client.update(**MANUAL)
    await client.append(SPEECH, piece_bytes=len(SPEECH) // 10_000)
    await client.commit()

    completed = await client.until(".completed")
    assert completed["transcript"] == TEXT
    assert completed["usage"]["seconds"] == pytest.approx(3.06, abs=0.01)


UPDATE = '{"type":"session.update","session":{"audio":{"input":%s}}}'
NONSENSE = {
    "open brackets": "[" * 100_000,
    "a deep object": '{"a":' * 50_000 + "1" + "}" * 50_000,
    "half a character": '{"type":"session.update","event_id":"\\ud800"}',
    "no base64": '{"type":"input_audio_buffer.append","audio":"!!!"}',
    "letters that are not of base64": '{"type":"input_audio_buffer.append","audio":"é"}',
    "an infinite rate": UPDATE % '{"format":{"type":"audio/pcm","rate":1e999}}',
    "a rate of many digits": UPDATE % f'{{"format":{{"type":"audio/pcm","rate":{"9" * 5_000}}}}}',
    "a model with a path": UPDATE % '{"transcription":{"model":"\\u0000/../../x"}}',
    "many keywords": UPDATE % f'{{"transcription":{{"keywords":["x"{", ".join([""] + ["1"] * 50_000)}]}}}}',
    "a list as type": '{"type":["session.update"]}',
    "a list as id": '{"type":"conversation.item.retrieve","item_id":["x"]}',
}


@pytest.mark.parametrize("message", NONSENSE.values(), ids=NONSENSE)
async def test_nonsense_is_an_error_and_the_session_goes_on(client, caplog, message):
    await client.receive()
    await client.socket.send(message)

    assert (await client.receive())["error"]["type"] == "invalid_request_error"
    assert await is_served(client)
    assert "Traceback" not in caplog.text


async def test_events_of_both_forms_can_be_mixed(client):
    await client.update(**MANUAL)
    flat = {"input_audio_format": "g711_ulaw", "turn_detection": None}
    await client.send("transcription_session.update", session=flat)
    await client.append(b"\xff" * 8_000)
    await client.commit()

    assert (await client.until(".completed"))["usage"]["seconds"] == pytest.approx(1.0, abs=0.01)
    assert "session.updated" in client.names()
    assert "transcription_session.updated" in client.names()


async def test_text_that_is_not_utf8_ends_its_session_only_and_is_no_mistake_of_the_server(realtime, caplog):
    async with connected(realtime) as client, connected(realtime) as other:
        await client.socket.send(b"\xff\xfe{", text=True)

        assert (await client.until_closed())[0] == 1007
        assert await is_served(other)
    assert "Traceback" not in caplog.text
