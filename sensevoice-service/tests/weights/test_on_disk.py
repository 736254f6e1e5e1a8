"""Whether downloaded weights are whole, and what is reported if not."""

import json
import time
from pathlib import Path

import pytest
from rapl_hub.hub import HubFile, Listing
from rapl_hub.huggingface import HuggingFaceHub
from rapl_hub.state import STALE_AFTER_S, DownloadPhase, DownloadState
from rapl_protocol.models import ModelState
from rapl_sensevoice.unusable import ModelUnusable
from rapl_sensevoice.weights.download import files_to_download
from rapl_sensevoice.weights.manifest import Manifest, ManifestFile, missing_files
from rapl_sensevoice.weights.on_disk import DownloadedWeights

NAMED = {"init_param": "model.pt", "config": "config.yaml", "tokenizer_conf": {"bpemodel": "x.bpe.model"}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model directory as `prepare-model` leaves it."""
    (tmp_path / "configuration.json").write_text(json.dumps({"file_path_metas": NAMED}))
    for name in ("model.pt", "config.yaml", "x.bpe.model"):
        (tmp_path / name).write_text(f"content of {name}")
    files = tuple(ManifestFile.of(path) for path in tmp_path.iterdir())
    Manifest(hub="modelscope", repo="a/b", revision="r", requested_revision="master", files=files).write(tmp_path)
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
    assert status.reason == f"there are no weights in {tmp_path / 'nowhere'}"
    assert "prepare-model" in (status.remedy or "")


def test_weights_without_a_manifest_are_not_loaded(folder: Path):
    (folder / "manifest.json").unlink()

    assert DownloadedWeights(folder).look().state is ModelState.ABSENT


def test_a_download_shows_its_progress(tmp_path: Path):
    state_file(tmp_path)
    status = DownloadedWeights(tmp_path).look()

    assert status.state is ModelState.DOWNLOADING
    assert status.progress is not None
    assert (status.progress.done_bytes, status.progress.total_bytes) == (3, 10)


@pytest.mark.parametrize("phase", [DownloadPhase.DOWNLOADING, DownloadPhase.WAITING])
def test_a_download_whose_writer_is_silent_has_stopped(tmp_path: Path, phase: DownloadPhase):
    state_file(tmp_path, age_s=STALE_AFTER_S + 1, phase=phase)
    status = DownloadedWeights(tmp_path).look()

    assert (status.state, status.reason) == (ModelState.FAILED, "the download stopped")
    assert "prepare-model" in (status.remedy or "")


def test_a_failed_download_keeps_its_reason_however_old(tmp_path: Path):
    state_file(tmp_path, age_s=1e6, phase=DownloadPhase.FAILED)
    status = DownloadedWeights(tmp_path).look()

    assert (status.state, status.reason) == (ModelState.FAILED, "why")


def test_a_cut_off_file_is_found_without_reading_every_byte(folder: Path):
    (folder / "model.pt").write_text("short")
    status = DownloadedWeights(folder).look()

    assert status.state is ModelState.FAILED
    assert "model.pt" in (status.reason or "")


def test_a_changed_file_of_the_same_size_is_named_before_it_is_loaded(folder: Path):
    (folder / "model.pt").write_text("CONTENT of model.pt")
    with pytest.raises(ModelUnusable, match=r"model\.pt"):
        DownloadedWeights(folder).verify()


@pytest.mark.parametrize("name", ["model.pt", "config.yaml", "x.bpe.model", "configuration.json"])
def test_a_missing_file_that_funasr_would_not_report_is_found(folder: Path, name: str):
    (folder / name).unlink()

    assert missing_files(folder) == [name]


def test_a_configuration_that_names_no_weights_is_not_enough(folder: Path):
    (folder / "configuration.json").write_text('{"file_path_metas": {"config": "config.yaml"}}')

    assert missing_files(folder) == ["init_param"]


def test_only_the_files_that_the_model_needs_are_downloaded():
    names = ("model.pt", "config.yaml", "configuration.json", "am.mvn", "x.bpe.model", "tokens.json")
    others = ("model.py", "README.md", "example/config.yaml", "requirements.txt")
    listing = Listing("main", tuple(HubFile(name, 1) for name in names + others))

    assert {file.name for file in files_to_download(listing, HuggingFaceHub("a/b"))} == set(names)


@pytest.mark.parametrize("missing", ["model.pt", "am.mvn", "configuration.json", "x.bpe.model"])
def test_a_repository_without_a_needed_file_is_refused(missing: str):
    names = {"model.pt", "config.yaml", "configuration.json", "am.mvn", "x.bpe.model"} - {missing}
    listing = Listing("main", tuple(HubFile(name, 1) for name in names))
    with pytest.raises(ModelUnusable, match=r"Hugging Face has no .*" + missing.removeprefix("x")):
        files_to_download(listing, HuggingFaceHub("a/b"))


def test_the_manifest_of_an_earlier_version_is_read_and_its_format_kept(folder: Path):
    written = json.loads((folder / "manifest.json").read_text())
    found = Manifest.read(folder)

    assert set(written) == {"hub", "repo", "revision", "asked_revision", "files"}
    assert found is not None
    assert found.requested_revision == written["asked_revision"] == "master"
