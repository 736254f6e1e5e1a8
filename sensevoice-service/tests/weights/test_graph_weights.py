"""Whether there is a graph that the OpenVINO runtime can load, and what is reported if not."""

import shutil
import time
from pathlib import Path

import pytest
from rapl_hub.state import STALE_AFTER_S, DownloadPhase, DownloadState
from rapl_protocol.models import ModelState
from rapl_sensevoice.transcriber import SELFTEST_FOLDER
from rapl_sensevoice.unusable import ModelUnusable
from rapl_sensevoice.weights.graph_weights import GraphWeights, PackagedGraph
from rapl_sensevoice.weights.manifest import Manifest

EXPORTS = Path(__file__).parents[1] / "exports"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model directory as `prepare-model` leaves it."""
    shutil.copytree(SELFTEST_FOLDER, tmp_path, dirs_exist_ok=True)
    return tmp_path


def converting(folder: Path, age_s: float) -> None:
    state = DownloadState(phase=DownloadPhase.CONVERTING, heartbeat_at=time.time() - age_s)
    (folder / "prepare-model.json").write_text(state.model_dump_json())


def test_a_whole_graph_is_there_to_be_loaded(folder: Path):
    weights = GraphWeights(folder, "int8")
    weights.verify()

    assert weights.look().state is None


def test_the_packages_own_graph_is_whole():
    PackagedGraph(SELFTEST_FOLDER).verify()


@pytest.mark.parametrize("name", ["sensevoice-int8.bin", "am.mvn"])
def test_a_changed_file_of_the_same_size_is_named_before_it_is_loaded(folder: Path, name: str):
    (folder / name).write_bytes(bytes((folder / name).stat().st_size))
    with pytest.raises(ModelUnusable, match=name):
        GraphWeights(folder, "int8").verify()
    with pytest.raises(ModelUnusable, match=name):
        PackagedGraph(folder).verify()


def test_a_cut_off_file_is_found_without_reading_every_byte(folder: Path):
    (folder / "sensevoice-int8.bin").write_text("short")
    status = GraphWeights(folder, "int8").look()

    assert status.state is ModelState.FAILED
    assert "sensevoice-int8.bin" in (status.reason or "")
    assert "prepare-model" in (status.remedy or "")


@pytest.mark.parametrize("content", ["", "{}", '{"format": 2, "source_sha256": "", "engine": "", "files": []}'])
def test_a_graph_without_a_manifest_of_this_version_is_not_loaded(folder: Path, content: str):
    (folder / "sensevoice-int8.json").write_text(content)

    assert GraphWeights(folder, "int8").look().state is ModelState.ABSENT


def test_weights_that_were_not_converted_to_this_precision_are_reported_as_such(folder: Path):
    Manifest(hub="modelscope", repo="a/b", revision="r", requested_revision="master", files=()).write(folder)
    status = GraphWeights(folder, "f32").look()

    assert status.state is ModelState.ABSENT
    assert "converted to f32" in (status.reason or "")
    assert "prepare-model" in (status.remedy or "")


def test_a_running_conversion_is_reported_as_loading(tmp_path: Path):
    converting(tmp_path, age_s=0)
    status = GraphWeights(tmp_path, "int8").look()

    assert status.state is ModelState.LOADING
    assert "converted" in (status.reason or "")


def test_a_conversion_whose_writer_is_silent_has_stopped(tmp_path: Path):
    converting(tmp_path, age_s=STALE_AFTER_S + 1)
    status = GraphWeights(tmp_path, "int8").look()

    assert (status.state, status.reason) == (ModelState.FAILED, "the conversion stopped")


@pytest.mark.parametrize("layout", ["funasr", "sherpa"])
def test_a_ready_made_export_is_there_to_be_loaded(layout: str):
    weights = GraphWeights(EXPORTS / layout, "int8")
    weights.verify()

    assert weights.look().state is None


def test_an_empty_folder_says_where_and_how_to_get_weights(tmp_path: Path):
    status = GraphWeights(tmp_path, "int8").look()

    assert (status.state, status.reason) == (ModelState.ABSENT, f"there are no weights in {tmp_path}")
