"""Writes PyTorch checkpoints without PyTorch, and makes small random networks of the real ones' structure.

The random networks say nothing about voices: the segmentation finds one person who never stops speaking. They are for
what does not depend on it: HTTP, states, limits.
"""

import io
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rapl_speakers.networks.checkpoint import Floats
from rapl_speakers.weights import SpeakerWeights, WeightsFile

VOICE, SEGMENTATION = WeightsFile("voice.pt"), WeightsFile("segmentation.bin")


class Global:
    """Pickled, it is a name in a module, which need not exist here."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class Call:
    """Pickled, it is a call of a function."""

    def __init__(self, module: str, name: str, *arguments: object) -> None:
        self.function = Global(module, name)
        self.arguments = arguments


class Storage:
    """Pickled, it is a reference to the bytes of a tensor."""

    def __init__(self, kind: str, key: str, count: int) -> None:
        self.kind, self.key, self.count = kind, key, count


class _Pickler(pickle._Pickler):  # pyright: ignore
    def persistent_id(self, obj: object) -> object:
        return ("storage", Global("torch", obj.kind), obj.key, "cpu", obj.count) if isinstance(obj, Storage) else None

    def save(self, obj: object, save_persistent_id: bool = True) -> None:
        if isinstance(obj, Global):
            self.write(f"c{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, Call):
            self.save(obj.function)
            self.save(obj.arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(obj, save_persistent_id)


def tensor(key: str, shape: tuple[int, ...], strides: tuple[int, ...], count: int, kind: str = "FloatStorage") -> Call:
    """`strides` are in elements; `count` is the number of elements of the storage."""
    return Call("torch._utils", "_rebuild_tensor_v2", Storage(kind, key, count), 0, shape, strides, False, None)


def write_checkpoint(path: Path, content: object, **storages: np.ndarray) -> Path:
    pickled = io.BytesIO()
    _Pickler(pickled, 2).dump(content)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("any/data.pkl", pickled.getvalue())
        for key, values in storages.items():
            archive.writestr(f"any/data/{key}", values.tobytes())
    return path


def write_weights(path: Path, weights: Mapping[str, Floats]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        name: tensor(f"s{number}", each.shape, tuple(step // 4 for step in each.strides), each.size)
        for number, (name, each) in enumerate(weights.items())
    }
    write_checkpoint(path, content, **{f"s{number}": each for number, each in enumerate(weights.values())})


def random_weights(model_dir: Path) -> SpeakerWeights:
    """Weights on disk that can be loaded."""
    weights = SpeakerWeights(model_dir, VOICE, (SEGMENTATION,))
    write_weights(weights.folder / VOICE.name, random_voice())
    write_weights(weights.folder / SEGMENTATION.name, one_endless_person())
    return weights


def random_voice() -> dict[str, Floats]:
    """CAM++ with one layer in each block."""
    shapes = {"head.conv1": (32, 1, 3, 3), "head.conv2": (32, 32, 3, 3), "xvector.tdnn.linear": (128, 320, 5)}
    norms = {"head.bn1": 32, "head.bn2": 32, "xvector.tdnn.nonlinear.batchnorm": 128}
    for layer in ("layer1.0", "layer1.1", "layer2.0", "layer2.1"):
        for number in (1, 2):
            shapes[f"head.{layer}.conv{number}"] = (32, 32, 3, 3)
            norms[f"head.{layer}.bn{number}"] = 32
        if layer.endswith("0"):
            shapes[f"head.{layer}.shortcut.0"] = (32, 32, 1, 1)
            norms[f"head.{layer}.shortcut.1"] = 32
    channels = 128
    for block in (1, 2, 3):
        name = f"xvector.block{block}.tdnnd1"
        norms |= {f"{name}.nonlinear1.batchnorm": channels, f"{name}.nonlinear2.batchnorm": 128}
        shapes |= {f"{name}.linear1": (128, channels, 1), f"{name}.cam_layer.linear_local": (32, 128, 3)}
        shapes |= {f"{name}.cam_layer.linear1": (64, 128, 1), f"{name}.cam_layer.linear2": (32, 64, 1)}
        channels += 32
        norms[f"xvector.transit{block}.nonlinear.batchnorm"] = channels
        shapes[f"xvector.transit{block}.linear"] = (channels // 2, channels, 1)
        channels //= 2
    norms |= {"xvector.out_nonlinear.batchnorm": channels, "xvector.dense.nonlinear.batchnorm": 192}
    shapes["xvector.dense.linear"] = (192, 2 * channels, 1)
    return _random({f"{name}.weight": shape for name, shape in shapes.items()}) | {
        f"{name}.{part}": np.full(width, value, np.float32)
        for name, width in norms.items()
        for part, value in (("running_mean", 0), ("running_var", 1), ("weight", 1), ("bias", 0))
    }


def one_endless_person() -> dict[str, Floats]:
    """pyannote's segmentation with one LSTM, whose answer is always the first person."""
    shapes: dict[str, tuple[int, ...]] = {
        "sincnet.conv1d.1.weight": (60, 80, 5), "sincnet.conv1d.1.bias": (60,),
        "sincnet.conv1d.2.weight": (60, 60, 5), "sincnet.conv1d.2.bias": (60,),
        "linear.0.weight": (128, 256), "linear.0.bias": (128,),
        "linear.1.weight": (128, 128), "linear.1.bias": (128,),
    }  # fmt: skip
    for name, width in (("wav_norm1d", 1), ("norm1d.0", 80), ("norm1d.1", 60), ("norm1d.2", 60)):
        shapes |= {f"sincnet.{name}.weight": (width,), f"sincnet.{name}.bias": (width,)}
    for end in ("", "_reverse"):
        shapes |= {f"lstm.weight_ih_l0{end}": (512, 60), f"lstm.weight_hh_l0{end}": (512, 128)}
        shapes |= {f"lstm.bias_ih_l0{end}": (512,), f"lstm.bias_hh_l0{end}": (512,)}
    filters = "sincnet.conv1d.0.filterbank"
    return _random(shapes) | {
        f"{filters}.low_hz_": np.linspace(30, 7000, 40, dtype=np.float32)[:, None],
        f"{filters}.band_hz_": np.full((40, 1), 100, np.float32),
        f"{filters}.window_": np.hamming(251)[:125].astype(np.float32),
        f"{filters}.n_": (2 * np.pi * np.arange(-125, 0) / 16_000).astype(np.float32)[None],
        "classifier.weight": np.zeros((7, 128), np.float32),
        "classifier.bias": np.array([0, 9, 0, 0, 0, 0, 0], np.float32),
    }


def _random(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Floats]:
    random = np.random.default_rng(5)
    return {name: random.normal(scale=0.1, size=shape).astype(np.float32) for name, shape in shapes.items()}
