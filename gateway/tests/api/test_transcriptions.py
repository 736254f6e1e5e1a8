import asyncio

import httpx
import openai
import pytest
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.models import ModelState
from rapl_protocol.testing import FakeTranscriber, make_tone
from rapl_protocol.transcript import TranscribeOptions
from rapl_service.testing import reference_cycles, until

NOWHERE = "http://127.0.0.1:9"


async def test_the_openai_sdk_gets_the_text_of_the_model_that_it_names(fleet):
    answers = [
        await fleet.openai.audio.transcriptions.create(file=("a.wav", fleet.speech.to_wav()), model=model)
        for model in ("rapl/selftest", "mlx-community/Qwen3-ASR-1.7B-8bit")
    ]

    assert [answer.text for answer in answers] == ["rapl/selftest 1", "mlx 1"]


async def test_interleaved_clients_each_get_their_own_models_answer(start):
    fleet = await start(
        FakeTranscriber("iic/SenseVoiceSmall", text="sensevoice", delay_s=0.02),
        FakeTranscriber(text="mlx", delay_s=0.01),
    )

    async def client(model: str) -> set[str]:
        return {(await fleet.transcribe(model=model)).json()["text"] for _ in range(20)}

    assert await asyncio.gather(client("iic/SenseVoiceSmall"), client("fake/model")) == [{"sensevoice"}, {"mlx"}]


@pytest.mark.parametrize("key", ["secret-1", "secret-2", "from-the-file"])
async def test_each_of_the_keys_is_accepted(start, tmp_path, key):
    (tmp_path / "keys").write_text("from-the-file\n\n")
    fleet = await start(api_keys=("secret-1", "secret-2"), api_keys_file=tmp_path / "keys")

    client = fleet.openai.with_options(api_key=key)

    assert (await client.audio.transcriptions.create(file=fleet.speech.to_wav(), model="rapl/selftest")).text


async def test_health_needs_no_key(start):
    fleet = await start(api_keys=("secret",))

    assert (await fleet.http.get("/health/live")).status_code == 200


async def test_translations_reach_the_engine_as_such(fleet):
    files = {"file": fleet.speech.to_wav()}
    answer = await fleet.http.post(
        "/v1/audio/translations", data={"model": "rapl/selftest", "prompt": "cheese"}, files=files
    )

    assert answer.json() == {"text": "rapl/selftest 1"}

    [(_, options)] = fleet.sensevoice.calls
    assert (options.translate, options.language, options.prompt) == (True, None, "cheese")


async def test_the_clients_options_reach_the_engine(fleet):
    await fleet.transcribe(
        model="rapl/selftest",
        language="English",
        prompt="Käse",
        **{"keywords[]": ["Emmentaler", "Gouda"]},
        temperature="0.3",
        response_format="verbose_json",
        **{"timestamp_granularities[]": "word"},
    )

    [(audio, options)] = fleet.sensevoice.calls
    assert bytes(audio.pcm) == fleet.speech.pcm
    assert options.model_dump() == {
        "model": "rapl/selftest",
        "language": "en",
        "languages": (),
        "itn": None,
        "draft": None,
        "prompt": "Käse",
        "keywords": ("Emmentaler", "Gouda"),
        "translate": False,
        "logprobs": False,
        "is_long": False,
        "temperature": 0.3,
        "word_timestamps": True,
        "words_are_optional": False,
        "segment_timestamps": True,
    }


@pytest.mark.parametrize("nothing", ["", " ", "None", "null", "undefined", "NULL"])
async def test_fields_without_a_value_count_as_not_sent(fleet, nothing):
    names = ("model", "language", "prompt", "temperature", "response_format", "stream", "audio_track")
    more = (
        "chunking_strategy",
        "chunking_strategy[type]",
        "languages",
        "keywords",
        "timestamp_granularities",
        "include",
    )
    arrays = (
        "languages[]",
        "keywords[]",
        "keywords[0]",
        "include[]",
        "timestamp_granularities[]",
        "known_speaker_names[]",
    )
    answer = await fleet.transcribe(**dict.fromkeys([*names, *more, *arrays], nothing))

    [(_, options)] = fleet.sensevoice.calls
    assert answer.status_code == 200
    assert options == TranscribeOptions(model="iic/SenseVoiceSmall")


@pytest.mark.parametrize(
    ("fields", "language", "keywords"),
    [
        ({"languages[]": "zh-CN"}, "zh", ()),
        ({"languages": "english"}, "en", ()),
        ({"languages[]": ["zh", "en"]}, None, ()),
        ({"languages": "zh,en"}, None, ()),
        ({"keywords": "Emmentaler, Gouda"}, None, ("Emmentaler", "Gouda")),
        ({"keywords[]": "Ada, Countess of Lovelace"}, None, ("Ada, Countess of Lovelace",)),
        ({"keywords[0]": "Ada", "keywords[1]": "Charles"}, None, ("Ada", "Charles")),
        (
            {"keywords": '["Ada, Countess of Lovelace", null, "Charles"]'},
            None,
            ("Ada, Countess of Lovelace", "Charles"),
        ),
        ({"keywords[]": '["Ada"]'}, None, ("Ada",)),
        ({"keywords": "[]"}, None, ()),
        ({"keywords[]": ["null", "undefined", "useEffect"]}, None, ("null", "undefined", "useEffect")),
        ({"keywords": "[sic]"}, None, ("[sic]",)),
        ({"languages": '["zh-CN", "zh-TW"]'}, "zh", ()),
        ({"language": "zh-CN,en-US"}, None, ()),
        ({"language": "zh_Hans_CN"}, "zh", ()),
    ],
)
async def test_arrays_are_read_in_every_form_that_clients_send(fleet, fields, language, keywords):
    await fleet.transcribe(**fields)

    [(_, options)] = fleet.sensevoice.calls
    assert (options.language, options.keywords) == (language, keywords)


@pytest.mark.parametrize(
    "fields",
    [
        {"timestamp_granularities[]": "word"},
        {"timestamp_granularities[0]": "word"},
        {"timestamp_granularities": "word"},
        {"timestamp_granularities": '["word"]'},
        {"timestamp_granularities[]": ' ["word"]'},
        {"timestamp_granularities[0]": "segment", "timestamp_granularities[1]": "word"},
        {"timestamp_granularities": "segment,word"},
        {"timestamp_granularities": '["word", "segment"]'},
    ],
)
async def test_granularities_are_read_in_every_form_that_clients_send(fleet, fields):
    await fleet.transcribe(response_format="verbose_json", **fields)

    [(_, options)] = fleet.sensevoice.calls
    assert options.word_timestamps


@pytest.mark.parametrize("stream", [False, True])
async def test_log_probabilities_are_left_out_if_the_engine_has_none(fleet, stream):
    answer = await fleet.openai.audio.transcriptions.create(
        file=fleet.speech.to_wav(), model="gpt-4o-transcribe", include=["logprobs"], stream=stream
    )
    parts = [event async for event in answer] if stream else [answer]

    assert parts[-1].text == "iic/SenseVoiceSmall 1"
    assert all(part.logprobs is None for part in parts)


@pytest.mark.parametrize("include", [{"include": "logprobs"}, {"include[0]": "logprobs"}, {"include": '["logprobs"]'}])
async def test_so_may_other_clients(fleet, include):
    assert (await fleet.transcribe(**include)).status_code == 200


@pytest.mark.parametrize("track", ["0", "1", "1000", " 7 ", "007"])
async def test_the_audio_track_reaches_preprocess_service(fleet, track):
    await fleet.transcribe(b"MEDIA:1", audio_track=track)

    assert fleet.preprocess.requests == [{"audio_track": str(int(track))}]


async def test_a_wav_has_no_other_track_so_preprocess_service_refuses_it(fleet):
    answer = await fleet.transcribe(audio_track="1")

    assert (answer.status_code, fleet.sensevoice.calls) == (400, [])


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ({}, {}),
        ({"chunking_strategy": "auto"}, {}),
        ({"chunking_strategy": '{"type": "server_vad", "threshold": 0.4}'}, {"vad_threshold": "0.4"}),
        (
            {"chunking_strategy[type]": "server_vad", "chunking_strategy[silence_duration_ms]": "200"},
            {"vad_silence_duration_ms": "200"},
        ),
    ],
)
async def test_a_chunking_strategy_sets_the_options_of_speech_detection(fleet, fields, asked):
    await fleet.transcribe(**fields)

    assert fleet.preprocess.requests == [asked]


async def test_with_speech_detection_off_all_audio_reaches_the_engines(start):
    fleet = await start(speech_detection="off")

    await fleet.transcribe(b"MEDIA:1")

    assert fleet.preprocess.requests == [{"speech_detection": "off"}]


@pytest.mark.parametrize(
    "fields",
    [
        {"stream": "false"},
        {"stream": ""},
    ],
)
async def test_options_without_effect_are_accepted(fleet, fields):
    assert (await fleet.transcribe(**fields)).json()["text"] == "iic/SenseVoiceSmall 1"


async def test_a_file_name_in_another_encoding_is_accepted(fleet):
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="\xc2\xbc\xd2\xf4.wav"\r\n\r\n'

    answer = await fleet.http.post(
        "/v1/audio/transcriptions",
        content=head + fleet.speech.to_wav() + b"\r\n--b--\r\n",
        headers={"content-type": "multipart/form-data; boundary=b"},
    )

    assert answer.status_code == 200


@pytest.mark.parametrize("boundary", ["a/b:c=d?e", "----WebKitFormBoundary7MA4YWxkTrZu0gW", "'()+_,-./:=?"])
async def test_a_boundary_may_have_any_character_that_the_standard_allows(fleet, boundary):
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"\r\n\r\n'

    answer = await fleet.http.post(
        "/v1/audio/transcriptions",
        content=head.encode() + fleet.speech.to_wav() + f"\r\n--{boundary}--\r\n".encode(),
        headers={"content-type": f"multipart/form-data; boundary={boundary}"},
    )

    assert answer.status_code == 200


@pytest.mark.parametrize("content_type", ["multipart/form-data; boundary=b", 'Multipart/Form-Data; boundary="b"'])
@pytest.mark.parametrize("file_name", ['; filename=""', '; filename="../../x.wav"', "; filename*=UTF-8''%e4.wav", ""])
async def test_the_file_is_found_whatever_it_is_called_and_however_the_boundary_is_written(
    fleet, content_type, file_name
):
    head = f'--b\r\nContent-Disposition: form-data; name="file"{file_name}\r\n\r\n'
    model = '\r\n--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nrapl/selftest\r\n--b--\r\n'

    answer = await fleet.http.post(
        "/v1/audio/transcriptions",
        content=head.encode() + fleet.speech.to_wav() + model.encode(),
        headers={"content-type": content_type},
    )

    assert answer.json()["text"] == "rapl/selftest 1"


async def test_unknown_fields_are_ignored(fleet):
    assert (await fleet.transcribe(model="rapl/selftest", vad_filter="true")).status_code == 200


async def test_other_media_are_preprocessed_and_their_segments_joined(fleet):
    answer = await fleet.transcribe(b"MEDIA:3", model="rapl/selftest", response_format="verbose_json")

    body = answer.json()
    assert body["text"] == "rapl/selftest 1 rapl/selftest 2 rapl/selftest 3"
    assert [(s["id"], s["start"], s["end"]) for s in body["segments"]] == [(0, 0, 1), (1, 1, 2), (2, 2, 3)]
    assert body["duration"] == 3.0


async def test_a_large_upload_arrives_complete(fleet):
    audio = make_tone(29.9)
    await fleet.transcribe(audio.to_wav(), model="rapl/selftest", prompt="x" * 50_000)
    await fleet.transcribe(b"MEDIA:1" + b" " * (3 << 20), model="rapl/selftest")

    (first, _), (second, _) = fleet.sensevoice.calls
    assert bytes(first.pcm) == audio.pcm
    assert second.duration_s == 1.0


async def test_segments_of_a_long_recording_are_marked_as_long(fleet):
    await fleet.transcribe(make_tone(20).to_wav(), model="rapl/selftest")
    await fleet.transcribe(b"MEDIA:27", model="rapl/selftest")

    assert [options.is_long for _, options in fleet.sensevoice.calls] == [False] + [False] * 25 + [True] * 2


async def test_progress_is_found_by_the_request_id(start):
    fleet = await start(FakeTranscriber("rapl/selftest", delay_s=0.2))
    sending = asyncio.create_task(
        fleet.http.post(
            "/v1/audio/transcriptions",
            data={"model": "rapl/selftest"},
            files={"file": b"MEDIA:10"},
            headers={"x-request-id": "mine"},
        )
    )
    await until(lambda: len(fleet.sensevoice.calls) > 3)
    during = await fleet.http.get("/v1/progress/mine")
    await sending
    after = await fleet.http.get("/v1/progress/mine")

    assert 0 < during.json()["done_s"] < during.json()["duration_s"] == 10.0
    assert after.status_code == 404


async def test_two_requests_with_one_id_do_not_disturb_each_other(start):
    fleet = await start(FakeTranscriber("rapl/selftest", delay_s=0.2))

    async def send(file: bytes) -> httpx.Response:
        request = {"data": {"model": "rapl/selftest"}, "files": {"file": file}, "headers": {"x-request-id": "same"}}
        return await fleet.http.post("/v1/audio/transcriptions", **request)

    long = asyncio.create_task(send(b"MEDIA:10"))
    await until(lambda: fleet.sensevoice.calls)
    short = await send(b"MEDIA:1")
    during = await fleet.http.get("/v1/progress/same")

    assert short.json()["usage"]["seconds"] == 1
    assert during.json()["duration_s"] == 10.0
    assert (await long).json()["usage"]["seconds"] == 10
    assert (await fleet.http.get("/v1/progress/same")).status_code == 404


async def test_when_the_client_disconnects_the_rest_of_its_work_is_cancelled(start):
    fleet = await start(FakeTranscriber("rapl/selftest", delay_s=0.2))

    with pytest.raises(httpx.ReadTimeout):
        await fleet.http.post(
            "/v1/audio/transcriptions",
            data={"model": "rapl/selftest"},
            files={"file": b"MEDIA:20"},
            timeout=0.5,
        )
    await fleet.transcribe(model="rapl/selftest")
    begun = len(fleet.sensevoice.calls)
    await fleet.transcribe(model="rapl/selftest")

    assert begun < 20
    assert len(fleet.sensevoice.calls) == begun + 1


async def test_silence_is_an_empty_text_and_no_error(start):
    fleet = await start(FakeTranscriber("iic/SenseVoiceSmall", text="", language=None))

    answer = await fleet.transcribe()

    assert (answer.status_code, answer.json()["text"]) == (200, "")


async def test_a_segment_that_fails_fails_the_request(start):
    class FailsOnce(FakeTranscriber):
        async def transcribe(self, audio, options, on_text=None):
            transcript = await super().transcribe(audio, options)
            if len(self.calls) == 2:
                raise ServiceError(ErrorCode.INTERNAL, "the second segment failed")
            return transcript

    fleet = await start(FailsOnce("rapl/selftest"))

    answer = await fleet.transcribe(b"MEDIA:3", model="rapl/selftest")

    assert (answer.status_code, answer.json()["error"]["message"]) == (500, "the second segment failed")


class TestWithoutPreprocessService:
    async def test_a_canonical_wav_is_still_served(self, start):
        fleet = await start(preprocess_url=NOWHERE)

        assert (await fleet.transcribe(model="rapl/selftest")).json()["text"] == "rapl/selftest 1"

    async def test_a_long_canonical_wav_is_cut_by_the_gateway(self, start):
        fleet = await start(preprocess_url=NOWHERE)

        answer = await fleet.transcribe(make_tone(70).to_wav(), model="rapl/selftest", response_format="verbose_json")

        body = answer.json()
        assert body["duration"] == 70.0
        assert (body["segments"][0]["start"], body["segments"][-1]["end"]) == (0.0, 70.0)
        assert sum(audio.duration_s for audio, _ in fleet.sensevoice.calls) == 70.0

    async def test_anything_else_is_a_503_that_names_the_service_and_the_remedy(self, start):
        fleet = await start(preprocess_url=NOWHERE)

        answer = await fleet.transcribe(b"MEDIA:1", model="rapl/selftest")

        assert answer.status_code == 503
        message = answer.json()["error"]["message"]
        assert "preprocess-service" in message
        assert NOWHERE in message
        assert "docker compose up" in message


class TestWithoutAnEngine:
    async def test_its_model_is_a_503_that_names_backend_address_and_remedy(self, start):
        fleet = await start(mlx_url=NOWHERE)

        with pytest.raises(openai.InternalServerError) as caught:
            await fleet.openai.audio.transcriptions.create(
                file=fleet.speech.to_wav(), model="mlx-community/Qwen3-ASR-1.7B-8bit"
            )

        assert caught.value.status_code == 503
        assert caught.value.code == "backend_unavailable"
        for part in ("mlx-service", NOWHERE, "./rapl mlx"):
            assert part in caught.value.message

    async def test_the_other_models_still_work(self, start):
        fleet = await start(mlx_url=NOWHERE)

        assert (await fleet.transcribe(model="rapl/selftest")).status_code == 200

    async def test_a_model_that_is_not_ready_is_a_503_with_its_state(self, start):
        fleet = await start(FakeTranscriber("iic/SenseVoiceSmall", state=ModelState.DOWNLOADING))

        answer = await fleet.transcribe()

        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
        assert answer.json()["error"]["code"] == "model_not_ready"
        assert "downloading" in answer.json()["error"]["message"]


async def test_the_response_has_the_time_of_each_stage(fleet):
    answer = await fleet.transcribe()

    stages = [stage.split(";")[0] for stage in answer.headers["server-timing"].split(", ")]
    assert stages == ["receive", "prepare", "queue", "infer", "render", "send", "gateway", "total"]
    assert int(answer.headers["openai-processing-ms"]) >= 0


async def test_no_transcript_prompt_or_file_name_is_logged(fleet, caplog):
    caplog.set_level("DEBUG")

    files = {"file": ("secret-name.wav", fleet.speech.to_wav())}
    await fleet.http.post("/v1/audio/transcriptions", data={"prompt": "secret-prompt"}, files=files)

    lines = [record.getMessage() for record in caplog.records if record.name == "rapl"]
    assert any("path=/v1/audio/transcriptions status=200" in line for line in lines)
    assert not any("secret" in line or "SenseVoiceSmall 1" in line for line in lines)


@pytest.mark.parametrize("stream", ["false", "true"])
@pytest.mark.parametrize("seconds", [1.0, 29.0])
async def test_a_requests_audio_is_freed_without_the_garbage_collector(fleet, stream, seconds):
    wav = make_tone(seconds).to_wav()
    await fleet.transcribe(wav, stream=stream)
    with reference_cycles() as rings:
        answer = await fleet.transcribe(wav, stream=stream)

    assert answer.status_code == 200, answer.text
    assert rings == set()
