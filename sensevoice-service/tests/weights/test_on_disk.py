import json
import time
from pathlib import Path

import pytest
from rapl_protocol.models import ModelState
from rapl_sensevoice.unusable import ModelUnusable
from rapl_sensevoice.weights.download_state import STALE_AFTER_S, DownloadPhase, DownloadState
from rapl_sensevoice.weights.hub import HubFile, Listing, checked, files_to_take
from rapl_sensevoice.weights.hub_huggingface import HuggingFaceHub
from rapl_sensevoice.weights.manifest import Manifest, ManifestFile, git_sha1_of, missing_files, sha256_of
from rapl_sensevoice.weights.on_disk import DownloadedWeights
from rapl_sensevoice.weights.progress import bytes_here

NAMED = {"init_param": "model.pt", "config": "config.yaml", "tokenizer_conf": {"bpemodel": "x.bpe.model"}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model directory as `prepare-model` leaves it."""
    (tmp_path / "configuration.json").write_text(json.dumps({"file_path_metas": NAMED}))
    for name in ("model.pt", "config.yaml", "x.bpe.model"):
        (tmp_path / name).write_text(f"content of {name}")
    files = [ManifestFile(name=p.name, size=p.stat().st_size, sha256=sha256_of(p)) for p in tmp_path.iterdir()]
    Manifest(hub="modelscope", repo="a/b", revision="r", asked_revision="master", files=tuple(files)).write(tmp_path)
    return tmp_path


def state_file(folder: Path, age_s: float = 0.0, phase: DownloadPhase = DownloadPhase.DOWNLOADING) -> None:
    state = DownloadState(phase=phase, done_bytes=3, total_bytes=10, reason="why", heartbeat_at=time.time() - age_s)
    (folder / "prepare-model.json").write_text(state.model_dump_json())


def test_whole_weights_are_there_to_be_loaded(folder: Path):
    weights = DownloadedWeights(folder)
    weights.verify()

    assert weights.look().state is None


def test_weights_that_are_not_there_say_where_and_how_to_get_them(tmp_path: Path):
    status = DownloadedWeights(tmp_path / "nowhere").look()

    assert status.state is ModelState.ABSENT
    assert status.reason == f"weights are not in {tmp_path / 'nowhere'}"
    assert "prepare-model" in (status.remedy or "")


def test_files_without_a_manifest_do_not_count(folder: Path):
    (folder / "manifest.json").unlink()

    assert DownloadedWeights(folder).look().state is ModelState.ABSENT


def test_a_download_shows_its_progress(tmp_path: Path):
    state_file(tmp_path)
    status = DownloadedWeights(tmp_path).look()

    assert status.state is ModelState.DOWNLOADING
    assert status.progress is not None
    assert (status.progress.done_bytes, status.progress.total_bytes) == (3, 10)


@pytest.mark.parametrize("phase", [DownloadPhase.DOWNLOADING, DownloadPhase.WAITING])
def test_a_download_whose_writer_has_gone_silent_has_stopped(tmp_path: Path, phase: DownloadPhase):
    state_file(tmp_path, age_s=STALE_AFTER_S + 1, phase=phase)
    status = DownloadedWeights(tmp_path).look()

    assert (status.state, status.reason) == (ModelState.FAILED, "the download stopped")
    assert "prepare-model" in (status.remedy or "")


def test_a_failed_download_keeps_its_reason_however_old(tmp_path: Path):
    state_file(tmp_path, age_s=1e6, phase=DownloadPhase.FAILED)
    status = DownloadedWeights(tmp_path).look()

    assert (status.state, status.reason) == (ModelState.FAILED, "why")


def test_a_cut_off_file_is_seen_at_a_glance(folder: Path):
    (folder / "model.pt").write_text("short")
    status = DownloadedWeights(folder).look()

    assert status.state is ModelState.FAILED
    assert "model.pt" in (status.reason or "")


def test_a_changed_file_of_the_same_size_is_named_before_it_is_loaded(folder: Path):
    (folder / "model.pt").write_text("CONTENT of model.pt")
    with pytest.raises(ModelUnusable, match=r"model\.pt"):
        DownloadedWeights(folder).verify()


@pytest.mark.parametrize("name", ["model.pt", "config.yaml", "x.bpe.model", "configuration.json"])
def test_a_file_that_funasr_would_not_miss_is_missed(folder: Path, name: str):
    (folder / name).unlink()

    assert missing_files(folder) == [name]


def test_a_configuration_that_names_no_weights_is_not_enough(folder: Path):
    (folder / "configuration.json").write_text('{"file_path_metas": {"config": "config.yaml"}}')

    assert missing_files(folder) == ["init_param"]


def test_only_the_files_that_the_model_needs_are_taken():
    names = ("model.pt", "config.yaml", "configuration.json", "am.mvn", "x.bpe.model", "tokens.json")
    others = ("model.py", "README.md", "example/config.yaml", "requirements.txt")
    listing = Listing("main", tuple(HubFile(name, 1) for name in names + others))

    assert {file.name for file in files_to_take(listing, HuggingFaceHub())} == set(names)


@pytest.mark.parametrize("missing", ["model.pt", "am.mvn", "configuration.json", "x.bpe.model"])
def test_a_repository_without_a_needed_file_is_refused(missing: str):
    names = {"model.pt", "config.yaml", "configuration.json", "am.mvn", "x.bpe.model"} - {missing}
    listing = Listing("main", tuple(HubFile(name, 1) for name in names))
    with pytest.raises(ModelUnusable, match=r"Hugging Face has no .*" + missing.removeprefix("x")):
        files_to_take(listing, HuggingFaceHub())


@pytest.mark.parametrize("wrong", [{"size": 1}, {"sha256": "0" * 64}, {"git_sha1": "0" * 40}])
def test_a_file_that_differs_from_what_the_hub_says_is_deleted_and_named(folder: Path, wrong: dict):
    path = folder / "model.pt"
    with pytest.raises(ModelUnusable, match=r"model\.pt .* deleted"):
        checked(HubFile(**{"name": "model.pt", "size": path.stat().st_size} | wrong), folder)

    assert not path.exists()


def test_a_small_file_is_checked_by_gits_own_hash(tmp_path: Path):
    (tmp_path / "hello").write_bytes(b"hello\n")

    assert git_sha1_of(tmp_path / "hello") == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_the_bytes_of_an_unfinished_file_count(tmp_path: Path):
    file = HubFile("model.pt", size=100)
    (tmp_path / "model.pt.incomplete").write_bytes(bytes(40))

    assert bytes_here(file, tmp_path) == 40
