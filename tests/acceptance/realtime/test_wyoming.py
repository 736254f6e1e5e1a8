"""wyoming-openai, unmodified, on /v1/realtime: each recording of Home Assistant is a session with one turn.

It needs Python 3.12. What it sends was recorded, and is sent again where that Python is missing.
"""

import base64
import json

import pytest
from client_programs import newer_python
from services import DIGITS, SELFTEST, free_port
from spoken_turns import KEY
from websockets.sync.client import connect

PYTHON = newer_python()
APPEND_BYTES = 3_072
"""What wyoming-openai 0.8.0 sends for each event, but for the last."""


@pytest.fixture(scope="module")
def results(secured, python_client, turns_16_khz):
    arguments = (f"{secured.http}/v1", KEY, str(free_port()), f"{SELFTEST},{DIGITS}", *turns_16_khz)
    return python_client("wyoming", "wyoming_client.py", *arguments, python=PYTHON)


@pytest.mark.skipif(PYTHON is None, reason="wyoming-openai needs Python 3.12, which this machine does not have")
def test_home_assistant_gets_the_text_of_each_recording(results, model, transcripts):
    assert [turn["transcript"] for turn in results[model]] == transcripts
    assert [turn["deltas"] for turn in results[model]] == transcripts


@pytest.mark.skipif(PYTHON is not None, reason="wyoming-openai itself runs here")
def test_a_replay_of_the_frames_of_wyoming_openai_gets_the_text(fleet, model, turns_24_khz, transcripts):
    transcription = {"model": model, "languages": ["en"]}
    given = {"format": {"type": "audio/pcm", "rate": 24_000}, "transcription": transcription, "turn_detection": None}
    audio = turns_24_khz[0].read_bytes()
    pieces = [base64.b64encode(audio[at : at + APPEND_BYTES]).decode() for at in range(0, len(audio), APPEND_BYTES)]

    url = f"{fleet.url.replace('http', 'ws')}/v1/realtime?intent=transcription"
    with connect(url) as socket:
        for event in (
            {"type": "session.update", "session": {"type": "transcription", "audio": {"input": given}}},
            *({"type": "input_audio_buffer.append", "audio": piece} for piece in pieces),
            {"type": "input_audio_buffer.commit"},
        ):
            socket.send(json.dumps(event))
        while not (event := json.loads(socket.recv(60)))["type"].endswith((".completed", ".failed", "error")):
            pass

    assert event["transcript"] == transcripts[0]
