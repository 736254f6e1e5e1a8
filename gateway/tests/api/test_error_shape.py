"""Every way of failing, through one assertion of OpenAI's error envelope."""

import httpx
import pytest
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.testing import FakeTranscriber


def assert_openai_error(answer: httpx.Response, status: int, code: str, param: str | None, part: str) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    assert "total;dur=" in answer.headers["server-timing"]
    [(name, error)] = answer.json().items()
    assert name == "error"
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["code"], error["param"]) == (code, param)
    assert part in error["message"]
    expected_type = "server_error" if status >= 500 else "invalid_request_error"
    assert error["type"] == ("rate_limit_error" if status == 429 else expected_type)


@pytest.mark.parametrize(
    ("fields", "status", "code", "param", "part"),
    [
        ({"model": "gpt-5"}, 404, "model_not_found", "model", "gpt-5"),
        ({"model": "../../etc/passwd"}, 404, "model_not_found", "model", "does not exist"),
        ({"response_format": "xml"}, 400, "invalid_request", "response_format", "'verbose_json'"),
        ({"temperature": "hot"}, 400, "invalid_request", "temperature", "0 to 1"),
        ({"temperature": "1.5"}, 400, "invalid_request", "temperature", "0 to 1"),
        ({"temperature": "nan"}, 400, "invalid_request", "temperature", "0 to 1"),
        ({"language": "klingon"}, 400, "invalid_request", "language", "klingon"),
        ({"timestamp_granularities[]": "syllable"}, 400, "invalid_request", "timestamp_granularities", "'word'"),
        ({"stream": "maybe"}, 400, "invalid_request", "stream", "true or false"),
        ({"response_format": "diarized_json"}, 400, "unsupported_parameter", "response_format", "speakers"),
        ({"include[]": "speakers"}, 400, "invalid_request", "include", "'logprobs'"),
        ({"known_speaker_names[]": "Ada"}, 400, "invalid_request", "known_speaker_references", "needs one clip"),
        ({"speaker_labels": "true"}, 400, "invalid_request", "speaker_labels", "'diarized_json'"),
        ({"num_speakers": "2"}, 400, "invalid_request", "num_speakers", "'diarized_json'"),
        ({"num_speakers": "65"}, 400, "invalid_request", "num_speakers", "from 1 to 64"),
        (
            {"speaker_labels": "true", "response_format": "srt"},
            400,
            "unsupported_parameter",
            "speaker_labels",
            "rapl up --speakers",
        ),
        ({"languages[]": "en", "language": "en"}, 400, "invalid_request", "languages", "not both"),
        ({"languages[]": "klingon"}, 400, "invalid_request", "languages", "klingon"),
        ({"language": "en,klingon"}, 400, "invalid_request", "language", "klingon"),
        ({"timestamp_granularities[1]": "syllable"}, 400, "invalid_request", "timestamp_granularities", "'word'"),
        ({"timestamp_granularities": '["word", "x"]'}, 400, "invalid_request", "timestamp_granularities", "'word'"),
        ({"audio_track": "first"}, 400, "invalid_request", "audio_track", "from 0 to 1000"),
        ({"audio_track": "-1"}, 400, "invalid_request", "audio_track", "from 0 to 1000"),
        ({"audio_track": "1.5"}, 400, "invalid_request", "audio_track", "from 0 to 1000"),
        ({"audio_track": "1001"}, 400, "invalid_request", "audio_track", "from 0 to 1000"),
        ({"audio_track": "9" * 5_000}, 400, "invalid_request", "audio_track", "from 0 to 1000"),
        ({"keywords[]": "<b>"}, 400, "invalid_request", "keywords", "line break"),
        ({"chunking_strategy": "sometimes"}, 400, "invalid_request", "chunking_strategy", "'auto'"),
        ({"chunking_strategy": "[1]"}, 400, "invalid_request", "chunking_strategy", "'auto'"),
        ({"chunking_strategy[type]": "vad"}, 400, "invalid_request", "chunking_strategy", "'server_vad'"),
        (
            {"chunking_strategy": '{"type": "server_vad", "threshold": 2}'},
            400,
            "invalid_request",
            "chunking_strategy.threshold",
            "0 to 1",
        ),
        ({"chunking_strategy": "[" * 5_000}, 400, "invalid_request", "chunking_strategy", "'auto'"),
        (
            {"chunking_strategy": f'{{"type": "server_vad", "threshold": 1{"0" * 400}}}'},
            400,
            "invalid_request",
            "chunking_strategy.threshold",
            "0 to 1",
        ),
        ({"prompt": "x" * 100_001}, 400, "invalid_request", "prompt", "100000"),
    ],
)
async def test_an_invalid_field_is_named(fleet, fields, status, code, param, part):
    assert_openai_error(await fleet.transcribe(**fields), status, code, param, part)


@pytest.mark.parametrize(
    "authorization", [None, "Bearer", "Bearer wrong", "Basic secret-1", "secret-1", "Bearer secret-1x", "Bearer \xff"]
)
async def test_with_keys_on_a_request_without_a_known_key_is_a_401(start, authorization):
    fleet = await start(api_keys=("secret-1", "secret-2"))
    headers = {"authorization": authorization.encode("latin-1")} if authorization else {}

    for method, path in (("POST", "/v1/audio/transcriptions"), ("GET", "/v1/models"), ("GET", "/nowhere")):
        answer = await fleet.http.request(method, path, headers=headers)
        assert_openai_error(answer, 401, "invalid_api_key", None, "Incorrect API key")


@pytest.mark.parametrize("junk", [bytes(1024), b"", b"<html>", b"RIFF\x24\x00\x00\x00WAVEfmt "])
async def test_audio_that_cannot_be_decoded_is_a_400(fleet, junk):
    assert_openai_error(await fleet.transcribe(junk), 400, "audio_undecodable", "file", "not media")


@pytest.mark.parametrize(
    ("content_type", "body", "part"),
    [
        ("application/x-www-form-urlencoded", b"model=whisper-1", "multipart/form-data"),
        ("", b"{}", "multipart/form-data"),
        ("multipart/form-data; boundary=x", b"--x\r\nnot a part", "cannot be read"),
        ("multipart/form-data", b"", "cannot be read"),
        ("multipart/form-data; boundary=x", b"--x--\r\n", "'file'"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nRIFF\r\n--x\r\nContent-Dis',
            "ends before its last boundary",
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="cut off"\r\n\r\nRIFF',
            "ends before its last boundary",
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; filename="a"\r\n\r\nRIFF\r\n--x--\r\n',
            "no name",
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' * 201 + b"--x--\r\n",
            "200 fields",
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\n1\r\n' * 9 + b"--x--\r\n",
            "8 files",
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"1" * (1 << 20) + b"1\r\n--x--\r\n",
            "larger than 1024 kB",
        ),
    ],
)
async def test_a_body_without_a_form_or_file_is_a_400(fleet, content_type, body, part):
    answer = await fleet.http.post("/v1/audio/transcriptions", content=body, headers={"content-type": content_type})

    assert answer.status_code == 400
    assert part in answer.json()["error"]["message"]


@pytest.mark.parametrize("field", ["model", "language", "keywords[]", "timestamp_granularities"])
async def test_a_file_in_place_of_a_text_is_a_400_that_names_the_field(fleet, field):
    files = {"file": fleet.speech.to_wav(), field: ("a.txt", b"text")}

    answer = await fleet.http.post("/v1/audio/transcriptions", files=files)

    assert_openai_error(answer, 400, "invalid_request", field.removesuffix("[]"), "must be text")


async def test_an_upload_over_the_limit_is_a_413_counted_while_it_arrives(start):
    fleet = await start(max_upload_bytes=1_000_000)

    async def endless():
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(30):
            yield bytes(50_000)

    answer = await fleet.http.post(
        "/v1/audio/transcriptions",
        content=endless(),
        headers={"content-type": "multipart/form-data; boundary=x"},
    )

    assert_openai_error(answer, 413, "audio_too_large", "file", "1000000")
    assert fleet.sensevoice.calls == []


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/v1/audio/transcriptions", 405, "method_not_allowed"),
        ("GET", "/v1/models/no/such", 404, "model_not_found"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
    ],
)
async def test_a_wrong_path_or_method_is_answered_in_the_envelope(fleet, method, path, status, code):
    answer = await fleet.http.request(method, path)

    assert_openai_error(answer, status, code, "model" if code == "model_not_found" else None, "")


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (ServiceError(ErrorCode.OVERLOADED, "no more of it"), {}),
        (ServiceError(ErrorCode.UNSUPPORTED_PARAMETER, "no such language", param="language"), {}),
        (ServiceError(ErrorCode.BACKEND_TIMEOUT, "too slow"), {"x-should-retry": "false"}),
    ],
)
async def test_an_engines_refusal_reaches_the_client_unchanged(start, error, headers):
    fleet = await start(FakeTranscriber("iic/SenseVoiceSmall", fails_with=error))

    answer = await fleet.transcribe()

    assert_openai_error(answer, error.status, error.code, error.param, error.message)
    assert headers.items() <= answer.headers.items()


async def test_a_crashed_engine_is_a_500_without_details(start):
    fleet = await start(FakeTranscriber("iic/SenseVoiceSmall", crashes=True))

    answer = await fleet.transcribe()

    assert_openai_error(answer, 500, "internal_error", None, "internal error")
    assert "as asked" not in answer.text


async def test_an_engine_that_is_too_slow_is_a_504(start):
    fleet = await start(
        FakeTranscriber("iic/SenseVoiceSmall", delay_s=0.5), deadline_base_s=0.1, deadline_per_audio_s=0.0
    )

    assert_openai_error(await fleet.transcribe(), 504, "backend_timeout", None, "did not answer within 0.1 s")
