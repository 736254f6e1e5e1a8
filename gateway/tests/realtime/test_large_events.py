"""An append of many MiB is decoded in pieces between which others go on, and means the same as a small one."""

import asyncio
import base64
import json

import pytest
from rapl_gateway.realtime.rules.client_events import decoded_append
from rapl_gateway.realtime.rules.commands import ToDetector
from realtime.driven_rules import Driven

AUDIO = bytes(range(256)) * 8_192
ENCODED = base64.b64encode(AUDIO).decode()


def append(text: object) -> str:
    return json.dumps({"type": "input_audio_buffer.append", "event_id": "mine", "audio": text})


async def to_detector(message: str) -> list[object]:
    commands = Driven().rules.on_message(message, await decoded_append(message))
    return [command.message for command in commands if isinstance(command, ToDetector)]


@pytest.mark.parametrize(
    "text",
    [
        ENCODED,
        ENCODED.rstrip("="),
        base64.b64encode(AUDIO + b"x").decode(),
        base64.encodebytes(AUDIO).decode(),
        f"data:audio/pcm;base64,{ENCODED}",
    ],
    ids=["one line", "without padding", "another length", "line breaks", "data URL"],
)
async def test_all_of_a_large_append_arrives(text: str):
    [audio] = await to_detector(append(text))

    assert audio in (AUDIO, AUDIO + b"x")
    assert isinstance(audio, bytes)
    assert len(audio) == len(base64.b64decode(text.rpartition(",")[2] + "=="))


async def test_others_go_on_while_a_large_append_is_decoded():
    decoding = asyncio.create_task(decoded_append(append(ENCODED)))
    turns = 0
    while not decoding.done():
        await asyncio.sleep(0)
        turns += 1

    assert await decoding == {"type": "input_audio_buffer.append", "event_id": "mine", "audio": AUDIO}
    assert turns >= 8


@pytest.mark.parametrize("broken", ["!" + ENCODED[1:], ENCODED[:-1] + "!", ENCODED[:40] + "====" + ENCODED[40:], 7])
async def test_a_large_append_that_is_broken_is_one_error_with_its_id(broken: object):
    message = append(broken) + " " * (2 << 20)
    commands = Driven().rules.on_message(message, await decoded_append(message))

    [error] = [command.event for command in commands]
    assert error["error"]["event_id"] == "mine"


async def test_other_large_messages_are_left_to_the_rules():
    for message in (bytes(2 << 20), "{" * (2 << 20), json.dumps({"type": "x" * (2 << 20)}), append("AAAA")):
        assert await decoded_append(message) is None
