"""The first run: the real hub client against a hub on this machine, and every way in which a download fails."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from local_hub import LocalHub
from mlx_service_process import RunningService, StartService, until
from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.transcript import TranscribeOptions
from rapl_service.calls.clients import TranscriberClient

SPOKEN = "three one four one five nine"
CLOSED_PORT = {"HF_ENDPOINT": "http://127.0.0.1:9"}
WEIGHTS = "model.safetensors"

ClientOf = Callable[[RunningService], TranscriberClient]


@pytest.fixture(scope="module")
def hub() -> Iterator[LocalHub]:
    with LocalHub() as hub:
        yield hub


@pytest.fixture(autouse=True)
def hub_without_failures(hub: LocalHub) -> None:
    hub.bytes_per_s = hub.cut_after_bytes = hub.truncate = None
    hub.offline = False
    hub.requests.clear()


@pytest.fixture(scope="module")
def service(start_service: StartService, hub: LocalHub) -> Iterator[RunningService]:
    """It allows every model of the hub."""
    with start_service(hub.environ, MODELS="house/*,trusted/coder", PRELOAD="", TRUST_CODE="trusted/coder") as service:
        yield service


def downloaded(hub: LocalHub) -> set[str]:
    """The names of the files that were requested."""
    return {r.path.partition("?")[0].rsplit("/", 1)[1] for r in hub.requests if "/resolve/" in r.path}


def load(service: RunningService, model_id: str, state: str = "ready") -> dict:
    service.post(f"/v1/models/{model_id}/load").raise_for_status()
    return service.wait_for(model_id, state)


async def test_a_model_is_downloaded_on_its_first_request_and_reports_its_progress(
    hub: LocalHub, service: RunningService, digits: Path, client_of: ClientOf, speech: WavAudio
):
    hub.add("house/first", digits)
    hub.bytes_per_s = 200_000
    options = TranscribeOptions(model="house/first")
    with pytest.raises(ServiceError, match=r"downloading.*MB") as caught:
        await client_of(service).transcribe(speech, options, deadline_s=100)
    assert caught.value.code is ErrorCode.MODEL_NOT_READY

    early, late = (until(partial(seen_progress, service, "house/first", part), service) for part in (0.2, 0.6))
    assert early["done_bytes"] < late["done_bytes"]
    assert early["total_bytes"] == late["total_bytes"] == download_bytes(digits)
    assert late["bytes_per_s"] > 0

    service.wait_for("house/first", "ready")
    assert (await client_of(service).transcribe(speech, options, deadline_s=100)).text == SPOKEN
    assert "model=house/first downloading" in service.log


def download_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.suffix != ".md")


def seen_progress(service: RunningService, model_id: str, part: float) -> dict | None:
    """The progress of a download once that part of it is done."""
    progress = service.models().get(model_id, {}).get("progress")
    total_bytes = progress and progress["total_bytes"]  # None until the hub has listed the files
    return progress if total_bytes and progress["done_bytes"] > part * total_bytes else None


async def test_at_most_four_models_of_a_pattern_download_at_once(
    hub: LocalHub, start_service: StartService, digits: Path, client_of: ClientOf, speech: WavAudio
):
    hub.bytes_per_s = 20_000
    for number in range(5):
        hub.add(f"house/many-{number}", digits)
    with start_service(hub.environ, MODELS="house/*") as service:
        for number in range(4):
            service.post(f"/v1/models/house/many-{number}/load").raise_for_status()
        options = TranscribeOptions(model="house/many-4")
        with pytest.raises(ServiceError) as caught:
            await client_of(service).transcribe(speech, options, deadline_s=100)

        assert caught.value.code is ErrorCode.OVERLOADED
        assert "house/many-4" not in service.models()


def test_a_cut_connection_is_resumed(hub: LocalHub, service: RunningService, digits: Path):
    hub.add("house/cut", digits)
    hub.cut_after_bytes = 400_000
    load(service, "house/cut")

    assert any(r.range and r.range.startswith("bytes=") and r.range != "bytes=0-" for r in hub.requests)


def test_a_download_resumes_where_a_killed_process_stopped(hub: LocalHub, service: RunningService, digits: Path):
    hub.add("house/killed", digits)
    hub.bytes_per_s = 200_000
    service.post("/v1/models/house/killed/load")
    until(partial(seen_progress, service, "house/killed", 0.5), service)
    started = [line for line in service.log.splitlines() if "model=house/killed pid=" in line]
    os.kill(int(started[-1].split("pid=")[1].split()[0]), signal.SIGKILL)
    hub.bytes_per_s = None
    service.wait_for("house/killed", "ready")

    assert any(r.range and int(r.range.removeprefix("bytes=").partition("-")[0]) > 100_000 for r in hub.requests)


def test_an_unknown_repository_is_reported_with_the_remedy(service: RunningService):
    info = load(service, "house/nowhere", "failed")

    assert "has no house/nowhere, or it is private" in info["reason"]
    assert "HF_TOKEN" in info["remedy"]


def test_a_cut_off_file_is_reported_by_name_and_downloaded_again_the_next_time(
    hub: LocalHub, service: RunningService, digits: Path
):
    hub.add("house/short", digits)
    hub.truncate = WEIGHTS
    info = load(service, "house/short", "failed")
    assert WEIGHTS in info["reason"]

    hub.truncate = None
    load(service, "house/short")


def test_damaged_content_of_the_right_length_is_found_by_its_hash(hub: LocalHub, service: RunningService, digits: Path):
    hub.add("house/damaged", digits)
    damaged = bytearray((digits / WEIGHTS).read_bytes())
    damaged[-1000:] = bytes(1000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hub, "body", lambda file: bytes(damaged) if file.path == WEIGHTS else file.content)
        info = load(service, "house/damaged", "failed")

    assert f"{WEIGHTS} is damaged" in info["reason"]


def test_a_file_that_was_damaged_later_is_downloaded_again(
    hub: LocalHub, service: RunningService, digits: Path, start_service: StartService
):
    hub.add("house/rotten", digits)
    load(service, "house/rotten")
    service.post("/v1/models/house/rotten/unload")
    [weights] = service.log_path.parent.glob(f"hub/models--house--rotten/snapshots/*/{WEIGHTS}")
    os.truncate(weights.resolve(), 1000)
    hub.requests.clear()
    load(service, "house/rotten")

    assert WEIGHTS in downloaded(hub)
    assert "vocab.json" not in downloaded(hub)


@pytest.mark.parametrize("model_id", ["house/coder", "house/auto-map"])
def test_a_repository_with_code_of_its_own_is_refused(
    hub: LocalHub, service: RunningService, digits_copy: Path, model_id: str
):
    if model_id == "house/coder":
        (digits_copy / "modeling.py").write_text("raise SystemExit('must not run')")
    else:
        config = json.loads((digits_copy / "tokenizer_config.json").read_text())
        config["auto_map"] = {"AutoTokenizer": ["elsewhere/x--tokenizer.Tokenizer", None]}
        (digits_copy / "tokenizer_config.json").write_text(json.dumps(config))
    hub.add(model_id, digits_copy)
    info = load(service, model_id, "failed")

    assert "Python code" in info["reason"]
    assert "RAPL_MLX_TRUST_CODE" in info["remedy"]
    assert not [name for name in downloaded(hub) if name.endswith(".py")]


def test_code_is_downloaded_only_from_a_repository_that_the_operator_trusts(
    hub: LocalHub, service: RunningService, digits_copy: Path
):
    (digits_copy / "modeling.py").write_text("raise SystemExit('must not run')")
    (digits_copy / "pickle.pth").write_bytes(b"must not be downloaded")
    hub.add("trusted/coder", digits_copy)
    load(service, "trusted/coder")

    assert "modeling.py" in downloaded(hub)
    assert "pickle.pth" not in downloaded(hub)


def test_a_second_start_needs_no_network_and_keeps_its_commit(
    hub: LocalHub, start_service: StartService, digits: Path, digits_copy: Path, tmp_path: Path
):
    cache = {"HF_HUB_CACHE": str(tmp_path / "cache")}
    hub.add("house/pinned", digits)
    with start_service(hub.environ | cache, MODELS="house/pinned") as service:
        service.wait_for("house/pinned", "ready")
    (digits_copy / "config.json").write_text("{}")
    hub.add("house/pinned", digits_copy)  # a newer commit, which was not requested
    hub.requests.clear()
    for environ in (hub.environ, CLOSED_PORT):
        with start_service(environ | cache, MODELS="house/pinned") as service:
            service.wait_for("house/pinned", "ready")

    assert hub.requests == []


def test_the_pinned_listing_of_an_earlier_version_is_used_without_network(
    start_service: StartService, digits: Path, tmp_path: Path
):
    folder, commit = tmp_path / "models--house--pinned", "b" * 40
    shutil.copytree(digits, folder / "snapshots" / commit)
    files = {path.name: {"size_bytes": path.stat().st_size, "sha256": None} for path in digits.iterdir()}
    (folder / "rapl").mkdir()
    (folder / "rapl" / "default.json").write_text(json.dumps({"commit": commit, "files": files}))
    with start_service(CLOSED_PORT | {"HF_HUB_CACHE": str(tmp_path)}, MODELS="house/pinned") as service:
        service.wait_for("house/pinned", "ready")


def test_a_model_that_another_program_put_into_the_cache_is_used_without_network(
    start_service: StartService, digits: Path, tmp_path: Path
):
    folder = tmp_path / "models--house--copied"
    shutil.copytree(digits, folder / "snapshots" / ("a" * 40))
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("a" * 40)
    with start_service(CLOSED_PORT | {"HF_HUB_CACHE": str(tmp_path)}, MODELS="house/copied") as service:
        service.wait_for("house/copied", "ready")


def test_a_named_revision_is_downloaded_and_a_wrong_one_is_reported(
    hub: LocalHub, start_service: StartService, digits: Path, digits_copy: Path
):
    commit = hub.add("house/revised", digits)
    (digits_copy / "config.json").write_text("{}")
    hub.add("house/revised", digits_copy)
    hub.add("house/other", digits)
    models = f"house/revised@{commit},house/other@v9"
    with start_service(hub.environ, MODELS=models, PRELOAD="house/revised,house/other") as service:
        service.wait_for("house/revised", "ready")
        assert "'v9'" in service.wait_for("house/other", "failed")["reason"]


def test_without_a_network_the_service_reports_it_and_recovers_when_the_model_is_loaded_again(
    hub: LocalHub, start_service: StartService, digits: Path
):
    hub.add("house/later", digits)
    hub.offline = True
    with start_service(hub.environ, MODELS="house/later") as service:
        info = service.wait_for("house/later", "failed")
        assert "cannot be reached" in info["reason"]
        assert httpx.get(f"{service.url}/health/live").status_code == 200
        assert httpx.get(f"{service.url}/health/ready").status_code == 503

        hub.offline = False
        load(service, "house/later")


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda folder: os.truncate(folder / WEIGHTS, 5000), WEIGHTS),
        (lambda folder: (folder / WEIGHTS).unlink(), "no weights"),
        (lambda folder: (folder / "config.json").unlink(), "config.json"),
        (lambda folder: rename_family(folder), "not supported"),
    ],
    ids=["cut off", "no weights", "no configuration", "unknown family"],
)
def test_a_folder_with_a_spoiled_model_has_failed_with_the_cause(
    start_service: StartService, digits_copy: Path, spoil: Callable[[Path], None], expected: str
):
    spoil(digits_copy)
    folder = digits_copy.rename(digits_copy.with_name("a-model"))
    with start_service(MODELS=f"house/spoiled={folder}") as service:
        info = service.wait_for("house/spoiled", "failed")

    assert expected in info["reason"]
    assert info["remedy"]


def rename_family(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "no_such_family"}))


async def test_a_removed_model_leaves_the_cache_and_its_next_request_downloads_it_again(
    hub: LocalHub, service: RunningService, digits: Path, client_of: ClientOf
):
    hub.add("house/removed", digits)
    load(service, "house/removed")
    ready = service.wait_for("house/removed", "ready")
    client = client_of(service)

    removed = await client.remove("house/removed")
    hub.requests.clear()
    load(service, "house/removed")

    assert ready["memory_bytes"] > 0
    assert (removed.state, removed.disk_bytes, removed.memory_bytes) == ("absent", 0, None)
    assert WEIGHTS in downloaded(hub)
