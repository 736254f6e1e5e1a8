"""CAM++ as an OpenVINO graph, built from its weights.

    features  float32 (pieces, frames, 80)   see `features`; at most MAX_FRAMES
    embedding float32 (pieces, 192)          the voice, not normalised

Its context-aware masks use the mean of the whole piece and the mean of each 100 frames after the first convolution.
A piece of at most MAX_FRAMES has only one such part, so both means are the same.

Source: https://github.com/modelscope/3D-Speaker, speakerlab/models/campplus (Apache-2.0); https://arxiv.org/abs/2303.00332.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from rapl_speakers.networks.checkpoint import Floats

Weights: TypeAlias = Mapping[str, Floats]

DIMENSIONS = 192
MEL_BINS = 80
MAX_FRAMES = 200
"""Two seconds. The first convolution halves the number of frames, and a mask's part has 100."""
_BLOCKS = ((1, 1), (2, 2), (3, 2))
"""Number and dilation of each dense block."""
_EPSILON = 1e-5


def campplus_graph(weights: Weights) -> Any:
    """Builds an `openvino.Model`.

    Args:
        weights: the state dictionary of `campplus_cn_en_common.pt`.

    Raises:
        KeyError: it is the state dictionary of another network.
    """
    import openvino
    from openvino import opset13 as op

    features = op.parameter([-1, -1, MEL_BINS], np.float32, name="features")
    build = _Builder(weights)
    image = op.unsqueeze(op.transpose(features, op.constant(np.array([0, 2, 1]))), op.constant(np.int64(1)))
    x = build.front_end(image)
    x = op.relu(build.convolution(x, "xvector.tdnn.linear", "xvector.tdnn.nonlinear", stride=2, padding=2))
    for number, dilation in _BLOCKS:
        x = build.dense_block(x, f"xvector.block{number}", dilation)
        x = build.convolution(build.active(x, f"xvector.transit{number}.nonlinear"), f"xvector.transit{number}.linear")
    pooled = build.statistics(build.active(x, "xvector.out_nonlinear"))
    embedding = build.convolution(pooled, "xvector.dense.linear", "xvector.dense.nonlinear")
    embedding = op.squeeze(embedding, op.constant(np.array([2])))
    embedding.output(0).set_names({"embedding"})
    model: Any = openvino.Model  # its type annotations are incomplete
    return model([op.result(embedding)], [features], "campplus")


class _Builder:
    """Builds the layers. Tensors are (pieces, channels, frames), in the front end (pieces, channels, bins, frames)."""

    def __init__(self, weights: Weights) -> None:
        from openvino import opset13

        self._op = opset13
        self._weights = weights

    def front_end(self, x: Any) -> Any:
        """Two-dimensional residual blocks, which make 80 bins into 10 bins of 32 channels."""
        op = self._op
        x = op.relu(self._image_convolution(x, "head.conv1", "head.bn1"))
        for name, stride in (("layer1.0", 2), ("layer1.1", 1), ("layer2.0", 2), ("layer2.1", 1)):
            x = self._residual(x, f"head.{name}", stride)
        x = op.relu(self._image_convolution(x, "head.conv2", "head.bn2", stride=2))
        return op.reshape(x, op.constant(np.array([0, 32 * MEL_BINS // 8, -1])), True)

    def dense_block(self, x: Any, name: str, dilation: int) -> Any:
        """Each layer's output is added to the channels of its input."""
        layer = 1
        while f"{name}.tdnnd{layer}.linear1.weight" in self._weights:
            x = self._op.concat([x, self._masked(x, f"{name}.tdnnd{layer}", dilation)], 1)
            layer += 1
        return x

    def active(self, x: Any, name: str) -> Any:
        """A normalisation, then ReLU."""
        op = self._op
        scale, shift = self._normalisation(name)
        scaled = op.multiply(x, op.constant(scale.reshape(1, -1, 1)))
        return op.relu(op.add(scaled, op.constant(shift.reshape(1, -1, 1))))

    def statistics(self, x: Any) -> Any:
        """The mean and the standard deviation over all frames, (pieces, 2 * channels, 1)."""
        op = self._op
        frames = op.convert(op.gather(op.shape_of(x), op.constant(np.array([2])), op.constant(np.int64(0))), "f32")
        last = op.constant(np.array([2]))
        mean = op.reduce_mean(x, last, True)
        squares = op.reduce_sum(op.power(op.subtract(x, mean), op.constant(np.float32(2))), last, True)
        deviation = op.sqrt(op.divide(squares, op.subtract(frames, op.constant(np.float32(1)))))
        return op.concat([mean, deviation], 1)

    def convolution(
        self, x: Any, name: str, normalised: str | None = None, *, stride: int = 1, padding: int = 0, dilation: int = 1
    ) -> Any:
        """A convolution over frames, with the normalisation after it multiplied into its weights."""
        op = self._op
        weight, bias = self._weights[f"{name}.weight"], self._weights.get(f"{name}.bias")
        weight = weight if weight.ndim == 3 else weight[:, :, None]
        if normalised:
            scale, shift = self._normalisation(normalised)
            weight, bias = weight * scale[:, None, None], shift
        x = op.convolution(x, op.constant(weight), [stride], [padding], [padding], [dilation])
        return x if bias is None else op.add(x, op.constant(bias.reshape(1, -1, 1)))

    def _masked(self, x: Any, name: str, dilation: int) -> Any:
        op = self._op
        x = op.relu(self.convolution(self.active(x, f"{name}.nonlinear1"), f"{name}.linear1", f"{name}.nonlinear2"))
        local = self.convolution(x, f"{name}.cam_layer.linear_local", padding=dilation, dilation=dilation)
        context = op.multiply(op.reduce_mean(x, op.constant(np.array([2])), True), op.constant(np.float32(2)))
        hidden = op.relu(self.convolution(context, f"{name}.cam_layer.linear1"))
        return op.multiply(local, op.sigmoid(self.convolution(hidden, f"{name}.cam_layer.linear2")))

    def _residual(self, x: Any, name: str, stride: int) -> Any:
        op = self._op
        inner = op.relu(self._image_convolution(x, f"{name}.conv1", f"{name}.bn1", stride=stride))
        inner = self._image_convolution(inner, f"{name}.conv2", f"{name}.bn2")
        if f"{name}.shortcut.0.weight" in self._weights:
            x = self._image_convolution(x, f"{name}.shortcut.0", f"{name}.shortcut.1", stride=stride)
        return op.relu(op.add(inner, x))

    def _image_convolution(self, x: Any, name: str, normalised: str, *, stride: int = 1) -> Any:
        op = self._op
        scale, shift = self._normalisation(normalised)
        weight = self._weights[f"{name}.weight"] * scale[:, None, None, None]
        padding = [weight.shape[-1] // 2] * 2
        x = op.convolution(x, op.constant(weight), [stride, 1], padding, padding, [1, 1])
        return op.add(x, op.constant(shift.reshape(1, -1, 1, 1)))

    def _normalisation(self, name: str) -> tuple[Floats, Floats]:
        """Scale and shift of a batch normalisation."""
        prefix = name if f"{name}.running_var" in self._weights else f"{name}.batchnorm"
        mean, variance = self._weights[f"{prefix}.running_mean"], self._weights[f"{prefix}.running_var"]
        scale = self._weights.get(f"{prefix}.weight", np.ones_like(mean)) / np.sqrt(variance + np.float32(_EPSILON))
        shift = self._weights.get(f"{prefix}.bias", np.zeros_like(mean)) - mean * scale
        return scale.astype(np.float32), shift.astype(np.float32)
