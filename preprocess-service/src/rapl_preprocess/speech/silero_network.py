"""Silero VAD's network as matrix products: spectrum, four convolutions, an LSTM, one probability for each frame.

onnxruntime takes 57 us for each frame, because it convolves frame by frame, in thin matrices. Here all frames of a
block are one matrix: 20 us for each frame. A test compares the two.

Source of the structure: the graph in silero_vad_16k_sequence.onnx, https://github.com/snakers4/silero-vad/pull/784
"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import as_strided

FRAME_SAMPLES = 512
"""Samples in a frame. The network computes one probability for each frame."""
CONTEXT_SAMPLES = 64
"""Samples of the previous frame that are part of the network's input for each frame."""
_WINDOW, _HOP, _WINDOWS = 256, 128, 4
_REFLECTED = 64
"""Samples at a frame's end that are appended to it in reverse order."""
_BINS = _WINDOW // 2 + 1
_HIDDEN = 128
_TAPS = 3
_STRIDES = (1, 2, 2, 1)
# sigmoid(x) = tanh(x / 2) / 2 + 1 / 2, so that one tanh computes the three gates of the LSTM and its candidate.
_SIGMOID_SCALE = np.repeat(np.array([0.5, 0.5, 0.5, 1], np.float32), _HIDDEN)
_SIGMOID_SHIFT = np.repeat(np.array([0.5, 0.5, 0.5, 0], np.float32), _HIDDEN)


@dataclass(slots=True)
class LstmState:
    """The state of the LSTM; each float32, (128,)."""

    hidden: np.ndarray
    cell: np.ndarray


class Network:
    """The network. Several threads may use it at once, each with its own `LstmState`.

    Args:
        tensors: the weights by their names in the ONNX file.

    Raises:
        KeyError: the weights belong to another model.
    """

    def __init__(self, tensors: dict[str, np.ndarray]) -> None:
        self._spectrum = np.ascontiguousarray(tensors["stft.forward_basis_buffer"][:, 0].T)
        self._convolutions = [
            (_as_matrix(tensors[f"encoder.{i}.weight"]), tensors[f"encoder.{i}.bias"], stride)
            for i, stride in enumerate(_STRIDES)
        ]
        self._lstm_input = np.ascontiguousarray(tensors["onnx::LSTM_209"][0].T * _SIGMOID_SCALE)
        self._lstm_hidden = np.ascontiguousarray(tensors["onnx::LSTM_210"][0].T * _SIGMOID_SCALE)
        self._lstm_bias = tensors["onnx::LSTM_211"].reshape(2, -1).sum(axis=0) * _SIGMOID_SCALE
        self._output = tensors["output.weight"].ravel()
        self._output_bias = tensors["output.bias"]

    def initial_state(self) -> LstmState:
        return LstmState(np.zeros(_HIDDEN, np.float32), np.zeros(_HIDDEN, np.float32))

    def probabilities(self, frames: np.ndarray, state: LstmState) -> np.ndarray:
        """Probabilities of speech; float32, (frames,).

        Args:
            frames: float32, (frames, CONTEXT_SAMPLES + FRAME_SAMPLES), [-1, 1], contiguous.
            state: after the previous frame; updated in place.
        """
        hidden = np.maximum(self._lstm(self._encoded(frames), state), 0)
        return 1 / (1 + np.exp(-(hidden @ self._output + self._output_bias)))

    def _encoded(self, frames: np.ndarray) -> np.ndarray:
        """The output of the convolutions; float32, (frames, 128)."""
        mirrored = np.hstack((frames, frames[:, -2 : -2 - _REFLECTED : -1]))
        row, sample = mirrored.strides
        windows = as_strided(mirrored, (len(mirrored), _WINDOWS, _WINDOW), (row, _HOP * sample, sample))
        power = np.square(windows.reshape(-1, _WINDOW) @ self._spectrum)
        layer = np.sqrt(power[:, :_BINS] + power[:, _BINS:]).reshape(-1, _WINDOWS, _BINS)
        for matrix, bias, stride in self._convolutions:
            layer = _convolved(layer, matrix, bias, stride)
        return layer[:, 0]

    def _lstm(self, inputs: np.ndarray, state: LstmState) -> np.ndarray:
        """The LSTM's outputs; float32, (frames, 128)."""
        sums = inputs @ self._lstm_input + self._lstm_bias
        outputs = np.empty((len(inputs), _HIDDEN), np.float32)
        gates, kept = np.empty(4 * _HIDDEN, np.float32), np.empty(_HIDDEN, np.float32)
        input_gate, output_gate, forget_gate, candidate = gates.reshape(4, _HIDDEN)  # in the order of ONNX
        hidden, cell = state.hidden, state.cell.copy()
        # Results go into existing arrays: a new array or a Python number in a line would take as long as the line
        # itself.
        for before, output in zip(sums, outputs, strict=True):
            np.dot(hidden, self._lstm_hidden, out=gates)
            np.add(gates, before, out=gates)
            np.tanh(gates, out=gates)
            np.multiply(gates, _SIGMOID_SCALE, out=gates)
            np.add(gates, _SIGMOID_SHIFT, out=gates)
            np.multiply(cell, forget_gate, out=kept)
            np.multiply(input_gate, candidate, out=cell)
            np.add(cell, kept, out=cell)
            np.tanh(cell, out=kept)
            hidden = np.multiply(output_gate, kept, out=output)
        state.hidden, state.cell = hidden.copy(), cell
        return outputs


def _as_matrix(weight: np.ndarray) -> np.ndarray:
    """Reshapes (outputs, inputs, taps) to (taps * inputs, outputs)."""
    return np.ascontiguousarray(weight.transpose(2, 1, 0).reshape(-1, len(weight)))


def _convolved(layer: np.ndarray, matrix: np.ndarray, bias: np.ndarray, stride: int) -> np.ndarray:
    """Convolution over three steps with zero padding, then ReLU; (frames, steps, channels)."""
    frames, steps, channels = layer.shape
    padded = np.zeros((frames, steps + 2, channels), np.float32)
    padded[:, 1:-1] = layer
    row, step, value = padded.strides
    shape = (frames, (steps - 1) // stride + 1, _TAPS * channels)
    outputs = as_strided(padded, shape, (row, step * stride, value)).reshape(-1, _TAPS * channels) @ matrix
    outputs += bias
    return np.maximum(outputs, 0, out=outputs).reshape(*shape[:2], -1)
