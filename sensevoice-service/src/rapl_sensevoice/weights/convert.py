"""Converts FunASR's checkpoint to the graph that the OpenVINO runtime loads; `prepare-model` does this once."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from rapl_hub.files import sha256_of

from rapl_sensevoice.model.features import FRONTEND_CONF
from rapl_sensevoice.model.graph import Precision, sensevoice_graph
from rapl_sensevoice.unusable import ModelUnusable
from rapl_sensevoice.weights.graph_files import FORMAT, GraphManifest, own_graph
from rapl_sensevoice.weights.manifest import ManifestFile

_ENCODER_CONF = {
    "input_layer": "pe", "pos_enc_class": "SinusoidalPositionEncoder", "normalize_before": True, "sanm_shfit": 0,
    "selfattention_layer_type": "sanm",
}  # fmt: skip
"""Configuration that the graph assumes, with the names of FunASR's config.yaml (the misspelling is FunASR's)."""


def convert(folder: Path, precision: Precision) -> None:
    """Writes the graph beside `model.pt`, and its manifest last. A graph without a manifest is not loaded.

    Raises:
        ModelUnusable: the model does not have the structure of SenseVoiceSmall.
    """
    heads = _heads(folder)
    try:
        graph = sensevoice_graph(_weights(folder / "model.pt"), heads, precision)
    except (KeyError, ValueError, RuntimeError) as error:
        raise ModelUnusable(
            f"model.pt is not a SenseVoiceSmall: {type(error).__name__} {error}"[:200], _OTHER
        ) from error
    _save(graph, folder, f"sensevoice-{precision}")
    files = own_graph(folder, precision)
    if files is None:
        raise ModelUnusable(f"am.mvn or the sentencepiece model is missing in {folder}", _OTHER)
    GraphManifest(
        format=FORMAT,
        source_sha256=sha256_of(folder / "model.pt"),
        engine=version("openvino"),
        files=tuple(ManifestFile.of(path) for path in (*files.all, files.graph.with_suffix(".bin"))),
    ).write(folder, precision)


def _heads(folder: Path) -> int:
    import yaml

    config = yaml.safe_load((folder / "config.yaml").read_text())
    encoder, frontend = config["encoder_conf"], config["frontend_conf"]
    for wanted, found in ((_ENCODER_CONF, encoder), (FRONTEND_CONF, frontend)):
        for name, value in wanted.items():
            if found.get(name, value) != value:
                raise ModelUnusable(f"config.yaml has {name}: {found[name]}; only {value} is supported", _OTHER)
    return encoder["attention_heads"]


def _weights(path: Path) -> dict[str, Any]:
    """Returns float32 arrays by name, memory-mapped if the file allows it."""
    import torch

    checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    return {name: tensor.float().numpy() for name, tensor in checkpoint.get("state_dict", checkpoint).items()}


def _save(graph: Any, folder: Path, name: str) -> None:
    import openvino

    fresh = folder / f".{name}.xml"
    openvino.save_model(graph, fresh, compress_to_fp16=False)
    fresh.with_suffix(".bin").replace(folder / f"{name}.bin")
    fresh.replace(folder / f"{name}.xml")


_OTHER = "Choose another revision with RAPL_SENSEVOICE_REVISION, or set RAPL_SENSEVOICE_RUNTIME=funasr."
