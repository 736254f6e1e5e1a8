"""The conversion of the weights by `prepare-model`, for the OpenVINO runtime."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from rapl_hub.files import sha256_of
from rapl_sensevoice.weights.graph_files import GraphManifest

EXPORTS = Path(__file__).parents[1] / "exports"
ONNX = {"RAPL_SENSEVOICE_RUNTIME": "onnx"}


@pytest.fixture
def prepared(preparation: Any) -> Any:
    """Weights that were downloaded and converted."""
    code, output = preparation.run(**ONNX)
    assert code == 0, output
    return preparation


def test_the_graph_is_there_with_its_hashes_and_those_of_its_source(prepared: Any):
    manifest = GraphManifest.read(prepared.folder, "int8")

    assert manifest is not None
    assert manifest.first_wrong_hash(prepared.folder) is None
    assert manifest.source_sha256 == sha256_of(prepared.folder / "model.pt")
    assert prepared.state() == {}


def test_the_same_weights_give_the_graph_that_ships_in_the_package(prepared: Any, repository: Path):
    assert sha256_of(prepared.folder / "sensevoice-int8.bin") == sha256_of(repository / "sensevoice-int8.bin")


def test_a_deleted_graph_is_converted_again_without_a_network(prepared: Any):
    (prepared.folder / "sensevoice-int8.bin").unlink()
    prepared.hub.offline = True
    code, output = prepared.run(**ONNX)

    assert code == 0, output
    manifest = GraphManifest.read(prepared.folder, "int8")
    assert manifest is not None
    assert manifest.first_wrong_hash(prepared.folder) is None


def test_a_graph_of_an_older_version_is_converted_again_without_a_network(prepared: Any):
    manifest = prepared.folder / "sensevoice-int8.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 2}))
    prepared.hub.offline = True
    code, output = prepared.run(**ONNX)

    assert code == 0, output
    assert GraphManifest.read(prepared.folder, "int8") is not None


def test_weights_that_changed_since_they_were_downloaded_are_not_converted(prepared: Any):
    weights = prepared.folder / "model.pt"
    weights.write_bytes(bytes(weights.stat().st_size))
    (prepared.folder / "sensevoice-int8.json").unlink()
    code, output = prepared.run(**ONNX)

    assert code == 1, output
    assert "model.pt is not the file that was downloaded" in prepared.state()["reason"]
    assert prepared.state()["remedy"]


def test_another_build_of_the_model_is_refused_with_the_other_runtime_as_remedy(
    preparation: Any, repository: Path, tmp_path: Path
):
    other = tmp_path / "other"
    shutil.copytree(repository, other)
    config = (other / "config.yaml").read_text()
    (other / "config.yaml").write_text(config.replace("lfr_n: 6", "lfr_n: 1"))
    preparation.hub.add("iic/SenseVoiceSmall", other)
    code, _ = preparation.run(**ONNX)

    assert code == 1
    assert "lfr_n" in preparation.state()["reason"]
    assert "RAPL_SENSEVOICE_RUNTIME=funasr" in preparation.state()["remedy"]


@pytest.mark.parametrize("layout", ["funasr", "sherpa"])
def test_with_a_ready_made_export_nothing_is_downloaded(preparation: Any, layout: str):
    shutil.copytree(EXPORTS / layout, preparation.folder)
    code, output = preparation.run(**ONNX)

    assert code == 0, output
    assert "ready-made" in output
    assert preparation.hub.requests == []
