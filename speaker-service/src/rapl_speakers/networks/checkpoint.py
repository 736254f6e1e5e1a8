"""Reads the arrays of a PyTorch checkpoint without PyTorch, and without running anything that is in the file.

A checkpoint is a ZIP archive: `data.pkl` describes the tensors, and `data/0`, `data/1` ... are their bytes.
Source: https://docs.pytorch.org/docs/stable/notes/serialization.html
"""

import collections
import io
import pickle
import zipfile
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]

_DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8"), "HalfStorage": np.dtype("<f2")}


class _Ignored:
    """Stands for every class that is not a tensor's: a trainer's settings, a task, an optimizer."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...

    def append(self, _: object) -> None: ...

    def __setitem__(self, _: object, __: object) -> None: ...


def read_checkpoint(path: Path) -> dict[str, Floats]:
    """The floating-point tensors of a state dictionary, by their names, as float32.

    Raises:
        ValueError: the file is not a checkpoint.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            found: Any = _Reader(archive).load()
    except (zipfile.BadZipFile, pickle.UnpicklingError, KeyError, EOFError, StopIteration) as error:
        raise ValueError(f"{path.name} is not a PyTorch checkpoint") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path.name} has no state dictionary")
    tensors: dict[str, Any] = found.get("state_dict", found)
    return {
        name: np.ascontiguousarray(each, np.float32)
        for name, each in tensors.items()
        if isinstance(each, np.ndarray) and each.dtype.kind == "f"
    }


class _Reader(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile) -> None:
        name = next(each for each in archive.namelist() if each.endswith("/data.pkl"))
        super().__init__(io.BytesIO(archive.read(name)))
        self._archive = archive
        self._folder = name.removesuffix("data.pkl") + "data/"

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        return _DTYPES.get(name, _Ignored) if module == "torch" else _Ignored

    def persistent_load(self, pid: Any) -> Any:
        _, dtype, key, *_ = pid
        if not isinstance(dtype, np.dtype):
            raise pickle.UnpicklingError("unknown type of tensor")
        return np.frombuffer(self._archive.read(f"{self._folder}{key}"), dtype)


def _tensor(storage: Any, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object) -> Any:
    if not isinstance(storage, np.ndarray):
        return None
    steps = tuple(step * storage.itemsize for step in strides)
    end = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True)) + 1
    if min((*shape, *strides, 1)) < 0 or end > len(storage):
        raise pickle.UnpicklingError("a tensor lies outside its storage")
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps)
