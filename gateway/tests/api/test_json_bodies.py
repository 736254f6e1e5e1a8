"""The JSON that Open WebUI sends instead of a form."""

import base64
import json

import pytest
from rapl_gateway.api.upload import MAX_JSON_BYTES
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.testing import FakeTranscriber

PATH = "/v1/audio/transcriptions"


def audio(content: bytes, form: str = "wav") -> dict[str, str]:
    return {"data": base64.b64encode(content).decode(), "format": form}


async def test_the_audio_is_transcribed_by_the_named_model(fleet):
    wav = fleet.speech.to_wav()
    answer = await fleet.http.post(PATH, json={"model": "rapl/selftest", "input_audio": audio(wav)})

    assert (answer.status_code, answer.json()["text"]) == (200, "rapl/selftest 1")
    [(heard, _)] = fleet.sensevoice.calls
    assert bytes(heard.pcm) == fleet.speech.pcm


async def test_every_field_of_the_form_may_be_sent_as_json(fleet):
    fields = {
        "language": "English",
        "prompt": "Käse",
        "keywords": ["Emmentaler", "Gouda, old"],
        "temperature": 0.3,
        "response_format": "verbose_json",
        "timestamp_granularities": ["word", None],
        "chunking_strategy": {"type": "server_vad", "threshold": 0.4},
        "audio_track": 0,
        "stream": False,
        "include": None,
        "provider": {"options": {}},
    }
    answer = await fleet.http.post(PATH, json={"input_audio": audio(fleet.speech.to_wav()), **fields})

    assert "words" in answer.json()
    [(_, options)] = fleet.sensevoice.calls
    assert (options.language, options.prompt, options.temperature) == ("en", "Käse", 0.3)
    assert (options.keywords, options.word_timestamps) == (("Emmentaler", "Gouda, old"), True)
    assert fleet.preprocess.requests == [{"vad_threshold": "0.4", "audio_track": "0"}]


@pytest.mark.parametrize("nothing", [None, "", "null", [], [None], [""], {}])
async def test_fields_without_a_value_count_as_not_sent(fleet, nothing):
    names = ("model", "language", "languages", "keywords", "include", "timestamp_granularities")
    more = {} if nothing == {} else dict.fromkeys(names, nothing)
    sent = {"input_audio": audio(fleet.speech.to_wav()), "chunking_strategy": nothing, **more}

    assert (await fleet.http.post(PATH, json=sent)).json()["text"] == "iic/SenseVoiceSmall 1"


async def test_the_answer_may_be_a_stream(fleet):
    answer = await fleet.http.post(PATH, json={"input_audio": audio(fleet.speech.to_wav()), "stream": True})

    assert answer.headers["content-type"].startswith("text/event-stream")


async def test_a_translation_may_be_sent_as_json_too(start):
    fleet = await start(FakeTranscriber("iic/SenseVoiceSmall"))
    await fleet.http.post("/v1/audio/translations", json={"input_audio": audio(fleet.speech.to_wav())})

    [(_, options)] = fleet.sensevoice.calls
    assert options.translate


@pytest.mark.parametrize(
    "written",
    [
        lambda text: f"data:audio/wav;base64,{text}",
        lambda text: text.rstrip("="),
        lambda text: "\r\n".join(text[at : at + 76] for at in range(0, len(text), 76)),
    ],
    ids=["data URL", "no padding", "lines"],
)
async def test_base64_is_read_in_every_form_that_clients_send(fleet, written):
    data = written(audio(fleet.speech.to_wav() + b"x")["data"])
    answer = await fleet.http.post(PATH, json={"input_audio": {"data": data, "format": "wav"}})

    assert answer.status_code == 200


async def test_a_large_upload_arrives_complete(fleet):
    answer = await fleet.http.post(PATH, json={"input_audio": audio(b"MEDIA:2" + b" " * (4 << 20))})

    assert answer.json()["usage"]["seconds"] == 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"null",
        b"\xff\xfe",
        b"[" * 10_000,
        b'{"input_audio": "UklGRg=="}',
        b'{"input_audio": {"format": "wav"}}',
        b'{"input_audio": {"data": 5}}',
        b'{"input_audio": {"data": "\\u00e9"}}',
        b'{"input_audio": {"data": "not base64!"}}',
        b'{"input_audio": {"data": "A"}}',
        b'{"input_audio": {"data": "data:audio/wav"}, "prompt": "\\ud800"}',
    ],
)
async def test_a_body_without_audio_is_a_400_that_names_the_field(fleet, body):
    answer = await fleet.http.post(PATH, content=body, headers={"content-type": "application/json; charset=utf-8"})

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input_audio")


@pytest.mark.parametrize(
    ("fields", "status", "code", "param"),
    [
        ({"model": "gpt-5"}, 404, "model_not_found", "model"),
        ({"language": "klingon"}, 400, "invalid_request", "language"),
        ({"temperature": "hot"}, 400, "invalid_request", "temperature"),
        ({"timestamp_granularities": ["syllable"]}, 400, "invalid_request", "timestamp_granularities"),
        ({"audio_track": 1.5}, 400, "invalid_request", "audio_track"),
        ({"audio_track": True}, 400, "invalid_request", "audio_track"),
        ({"input_audio": audio(b"junk")}, 400, "audio_undecodable", "file"),
    ],
)
async def test_errors_are_those_of_the_form(fleet, fields, status, code, param):
    answer = await fleet.http.post(PATH, json={"input_audio": audio(fleet.speech.to_wav()), **fields})

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param)


async def test_a_failure_of_the_engine_has_its_own_status(start):
    fleet = await start(FakeTranscriber("iic/SenseVoiceSmall", fails_with=ServiceError(ErrorCode.OVERLOADED, "busy")))

    assert (await fleet.http.post(PATH, json={"input_audio": audio(fleet.speech.to_wav())})).status_code == 429


@pytest.mark.parametrize(("limit", "sent"), [(1 << 20, 2 << 20), (1 << 30, MAX_JSON_BYTES)])
async def test_a_larger_body_is_a_413(start, limit, sent):
    fleet = await start(max_upload_bytes=limit)
    body = json.dumps({"input_audio": {"data": "A" * sent}})

    answer = await fleet.http.post(PATH, content=body, headers={"content-type": "application/json"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "audio_too_large")


@pytest.mark.parametrize("more", [{f"x{n}": 1 for n in range(201)}, {"keywords": ["a"] * 600_000}])
async def test_more_fields_than_a_form_may_have_are_a_400(fleet, more):
    answer = await fleet.http.post(PATH, json={"input_audio": audio(b""), **more})

    assert answer.status_code == 400
