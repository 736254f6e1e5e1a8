"""Silero VAD's network as matrix products: spectrum, four convolutions, an LSTM, one probability for each frame.

onnxruntime takes 57 us for each frame, because it convolves frame by frame, in thin matrices. Here all frames of a
block are one matrix: 20 us for each frame. A test compares the two.

Source of the structure: the graph in silero_vad_16k_sequence.onnx, https://github.com/snakers4/silero-vad/pull/784
"""

from dataclasses import dataclass, field

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
HIDDEN = 128
"""Numbers in each of the two parts of the LSTM's state."""
_TAPS = 3
_STRIDES = (1, 2, 2, 1)
# sigmoid(x) = tanh(x / 2) / 2 + 1 / 2, so that one tanh computes the three gates of the LSTM and its candidate.
_SIGMOID_SCALE = np.repeat(np.array([0.5, 0.5, 0.5, 1], np.float32), HIDDEN)
_SIGMOID_SHIFT = np.repeat(np.array([0.5, 0.5, 0.5, 0], np.float32), HIDDEN)


@dataclass(slots=True)
class LstmState:
    """The state of the LSTM; each float32, (128,)."""

    hidden: np.ndarray = field(default_factory=lambda: np.zeros(HIDDEN, np.float32))
    cell: np.ndarray = field(default_factory=lambda: np.zeros(HIDDEN, np.float32))


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

    def probabilities(self, frames: np.ndarray, state: LstmState) -> np.ndarray:
        """Probabilities of speech; float32, (frames,).

        Args:
            frames: float32, (frames, CONTEXT_SAMPLES + FRAME_SAMPLES), [-1, 1], contiguous.
            state: after the previous frame; updated in place.
        """
        return self._judged(self._lstm(self._encoded(frames), state))

    def probabilities_of_streams(
        self, frames: np.ndarray, counts: list[int], states: list[LstmState]
    ) -> list[np.ndarray]:
        """Probabilities of speech for several streams; each float32, (frames of the stream,).

        Args:
            frames: as for `probabilities`: all frames of the first stream, then those of the second.
            counts: the number of frames of each stream, at least 1; it must not increase.
            states: of each stream, after its previous frame; updated in place.
        """
        outputs = self._lstm_of_streams(self._encoded(frames), counts, states)
        return np.split(self._judged(outputs), np.cumsum(counts)[:-1])

    def _judged(self, outputs: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-(np.maximum(outputs, 0) @ self._output + self._output_bias)))

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
        outputs = np.empty((len(inputs), HIDDEN), np.float32)
        step = _LstmStep(self._lstm_hidden)
        hidden, cell = state.hidden, state.cell.copy()
        for before, output in zip(self._lstm_sums(inputs), outputs, strict=True):
            step(hidden, cell, before, output)
            hidden = output
        state.hidden, state.cell = hidden.copy(), cell
        return outputs

    def _lstm_of_streams(self, inputs: np.ndarray, counts: list[int], states: list[LstmState]) -> np.ndarray:
        """The LSTM's outputs for several streams, one after the other; float32, (frames, 128).

        A step computes the next frame of all streams that still have one. `counts` must not increase.
        """
        sums = self._lstm_sums(inputs)
        outputs = np.empty((len(inputs), HIDDEN), np.float32)
        hidden, cell = (np.stack(each) for each in zip(*[(state.hidden, state.cell) for state in states], strict=True))
        firsts = np.cumsum([0, *counts[:-1]])
        rows, step = len(counts), _LstmStep(self._lstm_hidden, len(counts))
        for i in range(counts[0]):
            if counts[rows - 1] <= i:
                rows = sum(count > i for count in counts)
                step = _LstmStep(self._lstm_hidden, rows)
            step(hidden[:rows], cell[:rows], sums[firsts[:rows] + i], hidden[:rows])
            outputs[firsts[:rows] + i] = hidden[:rows]
        for row, state in enumerate(states):
            state.hidden, state.cell = hidden[row].copy(), cell[row].copy()
        return outputs

    def _lstm_sums(self, inputs: np.ndarray) -> np.ndarray:
        """The share of the inputs in the gates; float32, (frames, 512)."""
        return inputs @ self._lstm_input + self._lstm_bias


class _LstmStep:
    """Computes the LSTM for one frame, or for the frames of several streams.

    Results go into existing arrays: a new array or a Python number in a line would take as long as the line itself.

    Args:
        weights: float32, (128, 512).
        rows: number of streams; without it, the arrays have no dimension for streams.
    """

    def __init__(self, weights: np.ndarray, *rows: int) -> None:
        self._weights = weights
        self._gates, self._kept = np.empty((*rows, 4 * HIDDEN), np.float32), np.empty((*rows, HIDDEN), np.float32)
        # in the order of ONNX
        self._input, self._output, self._forget, self._candidate = np.split(self._gates, 4, axis=-1)

    def __call__(self, hidden: np.ndarray, cell: np.ndarray, before: np.ndarray, output: np.ndarray) -> None:
        """Updates `cell`, and writes the new hidden state to `output`, which may be `hidden`."""
        gates, kept = self._gates, self._kept
        np.dot(hidden, self._weights, out=gates)
        np.add(gates, before, out=gates)
        np.tanh(gates, out=gates)
        np.multiply(gates, _SIGMOID_SCALE, out=gates)
        np.add(gates, _SIGMOID_SHIFT, out=gates)
        np.multiply(cell, self._forget, out=kept)
        np.multiply(self._input, self._candidate, out=cell)
        np.add(cell, kept, out=cell)
        np.tanh(cell, out=kept)
        np.multiply(self._output, kept, out=output)


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
