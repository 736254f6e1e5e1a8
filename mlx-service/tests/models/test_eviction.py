"""Which models stay in memory. The limits are so small that tiny models reach them."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from mlx_service_process import RunningService, StartService, until
from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.transcript import TranscribeOptions
from rapl_service.calls.clients import TranscriberClient
from rapl_service.memory import process_bytes

ClientOf = Callable[[RunningService], TranscriberClient]


def folders(digits: Path, *ids: str) -> str:
    return ",".join(f"{model_id}={digits}" for model_id in ids)


async def transcribe(client: TranscriberClient, audio: WavAudio, model: str) -> str:
    return (await client.transcribe(audio, TranscribeOptions(model=model), deadline_s=100)).text


async def test_the_least_recently_used_model_is_unloaded_and_the_preloaded_one_stays(
    start_service: StartService, digits: Path, speech: WavAudio, client_of: ClientOf
):
    # A process of this model uses about 120 MiB and reserves 301 MiB while it loads: two fit, three do not.
    models = folders(digits, "x/first", "x/second", "x/third")
    with start_service(MODELS=models, MEMORY_LIMIT_MB=480, LOAD_WAIT_S=100) as service:
        service.wait_for("x/first", "ready")
        client = client_of(service)
        await transcribe(client, speech, "x/second")
        await transcribe(client, speech, "x/first")
        await transcribe(client, speech, "x/third")
        states = {model_id: info["state"] for model_id, info in service.models().items()}

        assert states == {"x/first": "ready", "x/second": "absent", "x/third": "ready"}
        assert "needs its memory" in service.models()["x/second"]["reason"]


def test_a_model_that_is_larger_than_the_memory_limit_fails_and_the_reason_has_its_size(
    start_service: StartService, digits: Path
):
    with start_service(MODELS=folders(digits, "x/large"), MEMORY_LIMIT_MB=100) as service:
        info = service.wait_for("x/large", "failed")

    assert "301 MiB" in info["reason"]
    assert "RAPL_MLX_MEMORY_LIMIT_MB" in info["remedy"]


def test_a_model_fails_if_preloaded_models_leave_too_little_memory(start_service: StartService, digits: Path):
    models = folders(digits, "x/one", "x/two")
    with start_service(MODELS=models, PRELOAD="x/one,x/two", MEMORY_LIMIT_MB=400) as service:
        service.wait_for("x/one", "ready")
        info = service.wait_for("x/two", "failed")

    assert "preloaded models leave" in info["reason"]
    assert "RAPL_MLX_PRELOAD" in info["remedy"]


def test_a_process_that_exceeds_its_limit_after_loading_is_killed_and_the_model_fails(
    start_service: StartService, digits: Path
):
    with start_service(MODELS=folders(digits, "x/fat"), MODEL_MEMORY_LIMIT_MB=50) as service:
        info = service.wait_for("x/fat", "failed")

        assert "the limit is 50 MiB" in info["reason"]
        assert until(lambda: not service.children(), service)


async def test_a_process_that_exceeds_its_limit_later_is_killed_and_the_next_request_has_a_new_one(
    start_service: StartService, digits: Path, speech: WavAudio, long_speech: WavAudio, client_of: ClientOf
):
    with start_service(MODELS=folders(digits, "x/grows")) as service:
        service.wait_for("x/grows", "ready")
        [pid] = service.children()
        loaded_bytes = process_bytes(pid) or 0
        await transcribe(client_of(service), long_speech, "x/grows")
        grown_bytes = process_bytes(pid) or 0
    between_mib = (loaded_bytes + grown_bytes) // 2 >> 20

    settings = {"MODEL_MEMORY_LIMIT_MB": between_mib, "LOAD_WAIT_S": 100}
    with start_service(MODELS=folders(digits, "x/grows"), **settings) as service:
        service.wait_for("x/grows", "ready")
        # The process may be killed during the request, twice at most, or after it.
        with contextlib.suppress(ServiceError):
            await transcribe(client_of(service), long_speech, "x/grows")
        until(lambda: "it exceeded" in service.log, service)

        assert await transcribe(client_of(service), speech, "x/grows") == "three one four one five nine"


async def test_an_unused_model_is_unloaded_and_the_preloaded_one_stays(
    start_service: StartService, digits: Path, speech: WavAudio, client_of: ClientOf
):
    models = folders(digits, "x/stays", "x/goes")
    with start_service({"RAPL_MODEL_TTL": "1"}, MODELS=models, LOAD_WAIT_S=100) as service:
        service.wait_for("x/stays", "ready")
        await transcribe(client_of(service), speech, "x/goes")
        info = service.wait_for("x/goes", "absent")

        assert "not used for 1 s" in info["reason"]
        assert service.models()["x/stays"]["state"] == "ready"


async def test_capabilities_are_unknown_before_the_first_load_and_stay_known_after_unloading(
    start_service: StartService, digits: Path, speech: WavAudio, client_of: ClientOf
):
    with start_service(MODELS=folders(digits, "x/y"), PRELOAD="none", LOAD_WAIT_S=100) as service:
        before = service.models()["x/y"]["capabilities"]
        client = client_of(service)
        await transcribe(client, speech, "x/y")
        await client.unload("x/y")
        after = service.models()["x/y"]["capabilities"]
        with pytest.raises(ServiceError) as caught:
            await client.transcribe(speech, TranscribeOptions(model="x/y", translate=True), deadline_s=100)

    assert not before["is_known"]
    assert not any(before[name] for name in ("prompt", "keywords", "word_timestamps", "translation", "temperature"))
    assert (after["is_known"], after["prompt"], "de" in after["languages"]) == (True, True, True)
    assert caught.value.code is ErrorCode.UNSUPPORTED_PARAMETER
