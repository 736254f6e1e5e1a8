"""Reads the weights from an ONNX file, which is a protobuf message. Everything else in it is skipped.

Source of the field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from collections.abc import Iterator

import numpy as np

_MODEL_GRAPH = 7
_GRAPH_INITIALIZER = 5
_TENSOR_DIMENSIONS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 8, 9
_FLOAT = 1
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def float_tensors(model: bytes) -> dict[str, np.ndarray]:
    """Returns the float32 initializers of the graph by name.

    Raises:
        ValueError: the file is not an ONNX file.
    """
    tensors = {}
    for graph in _parts(memoryview(model), _MODEL_GRAPH):
        for tensor in _parts(graph, _GRAPH_INITIALIZER):
            if _numbers(tensor, _TENSOR_TYPE) == [_FLOAT]:
                [name], [values] = _parts(tensor, _TENSOR_NAME), _parts(tensor, _TENSOR_RAW)
                shape = _numbers(tensor, _TENSOR_DIMENSIONS)
                tensors[bytes(name).decode()] = np.frombuffer(values, "<f4").reshape(shape)
    return tensors


def _parts(message: memoryview, wanted: int) -> list[memoryview]:
    return [value for number, value in _fields(message) if number == wanted and isinstance(value, memoryview)]


def _numbers(message: memoryview, wanted: int) -> list[int]:
    return [value for number, value in _fields(message) if number == wanted and isinstance(value, int)]


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yields the number and the value of each field. A nested message is a memoryview."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = _varint(message, at)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"not an ONNX file: wire type {kind}")
        yield number, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Returns the number at `at`, and the position after it."""
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
