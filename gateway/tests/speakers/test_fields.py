"""What clients send together with speakers: what is accepted, and what is refused as at OpenAI."""

import pytest
from speakers.conversation import DIARIZING, SAID, diarize, said


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"include[]": "logprobs"}, "include"),
        ({"timestamp_granularities[]": "word"}, "timestamp_granularities"),
        ({"prompt": "A talk", "model": DIARIZING}, "prompt"),
        ({"response_format": "json", "include[]": "logprobs", "model": DIARIZING}, "include"),
    ],
)
async def test_what_openai_refuses_with_speakers_is_refused(fleet, fields, param):
    answer = await diarize(fleet, **fields)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "unsupported_parameter", param)


@pytest.mark.parametrize(
    "fields",
    [
        {"timestamp_granularities[]": "segment"},
        {"chunking_strategy[type]": "server_vad", "chunking_strategy[threshold]": "0.4"},
        {"prompt": "A talk", "model": "iic/SenseVoiceSmall"},
        {"speaker_labels": "true"},
    ],
)
async def test_what_clients_send_with_speakers_is_accepted(fleet, fields):
    assert said(await diarize(fleet, **fields)) == SAID


async def test_a_translation_has_no_speakers(fleet):
    files = {"file": ("speech.wav", b"SPEECH:1")}
    answer = await fleet.http.post("/v1/audio/translations", data={"response_format": "diarized_json"}, files=files)

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "response_format")
