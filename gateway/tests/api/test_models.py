from urllib.parse import quote

import pytest
from rapl_protocol.models import Capabilities, ModelInfo, ModelState, Progress
from rapl_protocol.testing import FakeTranscriber
from rapl_service.engine_app import transcriber_app
from rapl_service.testing import served

NOWHERE = "http://127.0.0.1:9"


async def listed(fleet) -> dict[str, dict]:
    return {model["id"]: model for model in (await fleet.http.get("/v1/models")).json()["data"]}


async def test_the_list_has_the_models_the_aliases_and_what_the_engines_report(fleet):
    models = [model.id async for model in fleet.openai.models.list()]

    assert models == [
        "iic/SenseVoiceSmall",
        "mlx-community/Qwen3-ASR-1.7B-8bit",
        "rapl/selftest",
        "whisper-1",
        "gpt-4o-transcribe",
        "gpt-4o-mini-transcribe",
        "gpt-4o-mini-transcribe-2025-12-15",
        "gpt-transcribe",
        "gpt-live-transcribe",
        "gpt-realtime-whisper",
        "local/model",
    ]


DIARIZING = "gpt-4o-transcribe-diarize"


async def test_a_name_that_promises_speakers_is_not_listed_and_still_answers_with_plain_text(fleet):
    assert DIARIZING not in await listed(fleet)

    answer = await fleet.openai.audio.transcriptions.create(file=fleet.speech.to_wav(), model=DIARIZING)

    assert answer.text == "iic/SenseVoiceSmall 1"


@pytest.mark.parametrize(
    "entry", [f'[models]\n"{DIARIZING}" = {{ backend = "mlx" }}', f'[aliases]\n"{DIARIZING}" = "rapl/selftest"']
)
async def test_such_a_name_is_listed_if_the_catalog_file_defines_it(start, tmp_path, entry):
    (tmp_path / "rapl.toml").write_text(entry)

    assert DIARIZING in await listed(await start())


async def test_every_model_has_openais_fields_and_its_state(fleet):
    for model in (await listed(fleet)).values():
        assert model["object"] == "model"
        assert isinstance(model["created"], int)
        assert model["owned_by"] in ("sensevoice-service", "mlx-service")
        assert model["state"] == "ready"
        assert model["capabilities"]["language_detection"] is True


async def test_a_model_names_the_fields_of_a_segments_decoding_that_it_reports(start):
    whisper = FakeTranscriber("mlx-community/whisper", capabilities=Capabilities(decoding=("tokens", "avg_logprob")))
    models = await listed(await start(mlx=whisper))

    assert models["mlx-community/whisper"]["capabilities"]["decoding"] == ["tokens", "avg_logprob"]
    assert models["iic/SenseVoiceSmall"]["capabilities"]["decoding"] == []


async def test_a_download_shows_its_progress(start):
    class Downloading(FakeTranscriber):
        def models(self) -> list[ModelInfo]:
            progress = Progress(done_bytes=250, total_bytes=1000, bytes_per_s=50)
            return [ModelInfo(id="iic/SenseVoiceSmall", state=ModelState.DOWNLOADING, progress=progress)]

    model = (await listed(await start(Downloading())))["iic/SenseVoiceSmall"]

    assert model["state"] == "downloading"
    assert model["progress"] == {"done_bytes": 250, "total_bytes": 1000, "bytes_per_s": 50}


async def test_a_model_can_be_loaded_before_its_first_request(start):
    fleet = await start(mlx=FakeTranscriber("mlx-community/some-model", state=ModelState.ABSENT))

    answer = await fleet.http.post("/v1/models/mlx-community/some-model/load")

    assert (answer.status_code, answer.json()["id"]) == (200, "mlx-community/some-model")
    assert answer.json()["state"] == "ready"
    assert fleet.mlx.state is ModelState.READY


async def test_loading_an_alias_loads_its_model(start):
    fleet = await start(FakeTranscriber("iic/SenseVoiceSmall", state=ModelState.ABSENT))

    assert (await fleet.http.post("/v1/models/whisper-1/load")).json()["state"] == "ready"
    assert fleet.sensevoice.state is ModelState.READY


async def test_a_model_can_be_unloaded(fleet):
    answer = await fleet.http.post("/v1/models/local/model/unload")

    assert (answer.status_code, answer.json()["state"]) == (200, "absent")
    assert fleet.mlx.state is ModelState.ABSENT


async def test_a_removed_model_is_answered_as_openai_answers_it(fleet):
    deleted = await fleet.openai.models.delete("local/model")

    assert (deleted.id, deleted.object, deleted.deleted) == ("local/model", "model", True)
    assert not fleet.mlx.is_on_disk


async def test_another_name_of_a_model_cannot_be_removed(fleet):
    answer = await fleet.http.delete("/v1/models/whisper-1")

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
    assert "iic/SenseVoiceSmall" in answer.json()["error"]["message"]
    assert fleet.sensevoice.is_on_disk


async def test_every_replica_unloads_and_removes_a_model(start):
    second = FakeTranscriber("iic/SenseVoiceSmall")
    async with served(transcriber_app(second)) as second_url:
        first = FakeTranscriber("iic/SenseVoiceSmall")
        async with served(transcriber_app(first)) as first_url:
            fleet = await start(sensevoice_url=f"{first_url},{second_url}")
            await fleet.http.get("/v1/models")
            unloaded = await fleet.http.post("/v1/models/iic/SenseVoiceSmall/unload")
            states = first.state, second.state
            removed = await fleet.http.delete("/v1/models/iic/SenseVoiceSmall")

    assert (unloaded.status_code, removed.status_code) == (200, 200)
    assert states == (ModelState.ABSENT, ModelState.ABSENT)
    assert (first.is_on_disk, second.is_on_disk) == (False, False)


@pytest.mark.parametrize(("method", "path"), [("POST", "/unload"), ("DELETE", "")])
async def test_a_model_of_an_unreachable_engine_is_neither_unloaded_nor_removed(start, method, path):
    fleet = await start(mlx_url=NOWHERE)
    await fleet.http.get("/v1/models")

    answer = await fleet.http.request(method, f"/v1/models/mlx-community/some-model{path}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "backend_unavailable")


async def test_loading_a_model_of_an_unreachable_engine_has_the_reason(start):
    fleet = await start(mlx_url=NOWHERE)

    answer = await fleet.http.post("/v1/models/mlx-community/some-model/load")

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "backend_unavailable")


async def test_a_model_of_an_unreachable_engine_has_the_reason_and_the_remedy(start):
    model = (await listed(await start(mlx_url=NOWHERE)))["mlx-community/Qwen3-ASR-1.7B-8bit"]

    assert model["state"] == "unreachable"
    assert model["reason"].startswith("mlx-service at ")
    assert model["reason"].endswith(" cannot be reached.")
    assert "./rapl mlx" in model["remedy"]


@pytest.mark.parametrize("written", ["iic/SenseVoiceSmall", quote("iic/SenseVoiceSmall", safe="")])
async def test_a_model_is_found_by_its_id_with_the_slash_raw_or_encoded(fleet, written):
    answer = await fleet.http.get(f"/v1/models/{written}")

    assert (answer.status_code, answer.json()["id"]) == (200, "iic/SenseVoiceSmall")


async def test_the_openai_sdk_retrieves_a_model_whose_id_has_a_slash(fleet):
    assert (await fleet.openai.models.retrieve("rapl/selftest")).id == "rapl/selftest"


async def test_ready_reports_whether_the_default_model_would_answer(start):
    loading = await start(FakeTranscriber("iic/SenseVoiceSmall", state=ModelState.LOADING))
    ready = await start()

    answers = [await fleet.http.get("/health/ready") for fleet in (loading, ready)]

    assert [answer.status_code for answer in answers] == [503, 200]
    assert answers[0].json()["model"] == "iic/SenseVoiceSmall"
    assert "loading" in answers[0].json()["reason"]
    assert answers[0].json()["reason"].endswith(". Send the request again when the model is loaded.")


async def test_live_answers_without_any_engine(start):
    fleet = await start(mlx_url=NOWHERE, sensevoice_url=NOWHERE, preprocess_url=NOWHERE)

    assert (await fleet.http.get("/health/live")).json() == {"status": "ok"}
