"""pyannote's segmentation-3.0 as an OpenVINO graph, built from its weights: who speaks in each 17 ms of a window.

    samples float32 (windows, samples)      [-1, 1], 16 kHz; it was trained on 10 s
    classes float32 (windows, frames, 7)    log-probabilities of the sets in SETS

The people of a window are numbered by the network, and the numbers of two windows have nothing to do with each other.

Source: https://huggingface.co/pyannote/segmentation-3.0 (MIT); https://github.com/pyannote/pyannote-audio,
models/segmentation/PyanNet.py, models/blocks/sincnet.py; https://github.com/asteroid-team/asteroid-filterbanks,
param_sinc_fb.py; https://arxiv.org/abs/2310.13025.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from rapl_speakers.networks.checkpoint import Floats

Weights: TypeAlias = Mapping[str, Floats]

SETS = ((), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2))
"""Who speaks, for each of the network's classes."""
PEOPLE = 3
"""Most people in a window."""
FRAME_SAMPLES = 270
"""Samples from one frame to the next: a stride of 10, and three times a maximum of 3."""
FIRST_FRAME_SAMPLES = 991
"""Samples that the first frame depends on. Its centre is half of it."""
_SINC = ("low_hz_", "band_hz_", "window_", "n_")
"""Edges and widths in Hz, the left half of the window, and the angle at 1 Hz of each sample before the centre."""
_MIN_HZ = 50.0
_RATE_HZ = 16_000
_EPSILON = 1e-5
_HIDDEN = 128
_LEAK = 0.01


def segmentation_graph(weights: Weights) -> Any:
    """Builds an `openvino.Model`.

    Args:
        weights: the state dictionary of segmentation-3.0.

    Raises:
        KeyError: it is the state dictionary of another network.
    """
    import openvino
    from openvino import opset13 as op

    samples = op.parameter([-1, -1], np.float32, name="samples")
    build = _Builder(weights)
    x = build.normalised(op.unsqueeze(samples, op.constant(np.int64(1))), "sincnet.wav_norm1d")
    x = op.abs(op.convolution(x, op.constant(sinc_filters(weights)), [10], [0], [0], [1]))
    x = build.pooled(x, "sincnet.norm1d.0")
    for number in (1, 2):
        x = build.pooled(build.convolution(x, f"sincnet.conv1d.{number}"), f"sincnet.norm1d.{number}")
    x = op.transpose(x, op.constant(np.array([0, 2, 1])))
    layer = 0
    while f"lstm.weight_ih_l{layer}" in weights:
        x = build.lstm(x, layer)
        layer += 1
    for number in (0, 1):
        x = build.leaky(build.linear(x, f"linear.{number}"))
    classes = op.log_softmax(build.linear(x, "classifier"), 2)
    classes.output(0).set_names({"classes"})
    model: Any = openvino.Model  # its type annotations are incomplete
    return model([op.result(classes)], [samples], "segmentation")


def sinc_filters(weights: Weights) -> Floats:
    """Returns the band-pass filters, float32, (80, 1, 251): 40 even ones, then 40 odd ones of the same bands."""
    low, band, window, angles = (weights[f"sincnet.conv1d.0.filterbank.{name}"] for name in _SINC)
    low = _MIN_HZ + np.abs(low)
    high = np.clip(low + _MIN_HZ + np.abs(band), _MIN_HZ, _RATE_HZ / 2)
    width = 2 * (high - low)
    even = (np.sin(high * angles) - np.sin(low * angles)) / (angles / 2) * window
    odd = (np.cos(low * angles) - np.cos(high * angles)) / (angles / 2) * window
    cosines = np.hstack([even, width, even[:, ::-1]]) / width
    sines = np.hstack([odd, np.zeros_like(width), -odd[:, ::-1]]) / width
    return np.concatenate([cosines, sines])[:, None].astype(np.float32)


class _Builder:
    """Builds the layers. Tensors are (windows, channels, frames), from the LSTMs on (windows, frames, channels)."""

    def __init__(self, weights: Weights) -> None:
        from openvino import opset13

        self._op = opset13
        self._weights = weights

    def normalised(self, x: Any, name: str) -> Any:
        """Each channel of each window gets mean 0 and variance 1, then a learned scale and shift."""
        op = self._op
        normal = op.mvn(x, op.constant(np.array([2])), True, _EPSILON, "inside_sqrt")
        scaled = op.multiply(normal, op.constant(self._weights[f"{name}.weight"].reshape(1, -1, 1)))
        return op.add(scaled, op.constant(self._weights[f"{name}.bias"].reshape(1, -1, 1)))

    def pooled(self, x: Any, name: str) -> Any:
        """The maximum of each three frames, normalised."""
        highest = self._op.max_pool(x, [3], [1], [0], [0], [3], "floor", "explicit").output(0)
        return self.leaky(self.normalised(highest, name))

    def convolution(self, x: Any, name: str) -> Any:
        op = self._op
        x = op.convolution(x, op.constant(self._weights[f"{name}.weight"]), [1], [0], [0], [1])
        return op.add(x, op.constant(self._weights[f"{name}.bias"].reshape(1, -1, 1)))

    def leaky(self, x: Any) -> Any:
        return self._op.prelu(x, self._op.constant(np.array([_LEAK], np.float32)))

    def linear(self, x: Any, name: str) -> Any:
        op = self._op
        product = op.matmul(x, op.constant(self._weights[f"{name}.weight"]), False, True)
        return op.add(product, op.constant(self._weights[f"{name}.bias"]))

    def lstm(self, x: Any, layer: int) -> Any:
        """A layer in both directions, (windows, frames, 2 * _HIDDEN)."""
        op = self._op
        inner, recurrent, bias = (
            np.stack([self._gates(f"{kind}_l{layer}{end}") for end in ("", "_reverse")])
            for kind in ("weight_ih", "weight_hh", "bias")
        )
        shape = op.shape_of(x)
        numbers = [op.gather(shape, op.constant(np.array([axis])), op.constant(np.int64(0))) for axis in (0, 1)]
        zeros = op.broadcast(
            op.constant(np.float32(0)), op.concat([numbers[0], op.constant(np.array([2, _HIDDEN]))], 0)
        )
        lengths = op.broadcast(numbers[1], numbers[0])
        found = op.lstm_sequence(
            x, zeros, zeros, lengths, op.constant(inner), op.constant(recurrent), op.constant(bias), _HIDDEN,
            "bidirectional",
        )  # fmt: skip
        frames_first = op.transpose(found.output(0), op.constant(np.array([0, 2, 1, 3])))
        return op.reshape(frames_first, op.constant(np.array([0, 0, 2 * _HIDDEN])), True)

    def _gates(self, name: str) -> Floats:
        """PyTorch's order of the gates is input, forget, cell, output; OpenVINO's is forget, input, cell, output."""
        if name.startswith("bias"):
            found = sum(self._weights[f"lstm.{name.replace('bias', part)}"] for part in ("bias_ih", "bias_hh"))
        else:
            found = self._weights[f"lstm.{name}"]
        first, forget, cell, output = np.split(found, 4)
        return np.concatenate([forget, first, cell, output])
