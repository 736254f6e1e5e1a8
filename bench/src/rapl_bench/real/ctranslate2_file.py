"""Reads CTranslate2's `model.bin`.

Version 6, little endian: u32 version, specification, u32 revision, u32 count, and for each variable: name, u8 rank,
u32 dimensions, u8 type, u32 size in bytes, data. Then u32 count, and for each alias its name and the variable's name. A
string is u16 length, then bytes that end with NUL.
Source: https://github.com/OpenNMT/CTranslate2, python/ctranslate2/specs/model_spec.py
"""

import struct
from pathlib import Path
from typing import Any

import numpy as np

Variables = dict[str, np.ndarray]
"""A model's variables by name; aliases are included."""
_VERSION = 6
_TYPES = (np.float32, np.int8, np.int16, np.int32, np.float16)
"""By their number in the file."""


class UnreadableModel(Exception):
    """The file is not what is expected; the message has the difference."""


def read_variables(file: Path, specification: str) -> Variables:
    """Returns the variables as they are in the file. Raises: UnreadableModel."""
    cursor = _Cursor(memoryview(file.read_bytes()))
    version, found, _revision = cursor.number("I"), cursor.text(), cursor.number("I")
    if (version, found) != (_VERSION, specification):
        raise UnreadableModel(f"{file.name} is a {found} of version {version}, not a {specification} of {_VERSION}")
    variables = dict(cursor.variable() for _ in range(cursor.number("I")))
    for _ in range(cursor.number("I")):
        alias, name = cursor.text(), cursor.text()
        variables[alias] = variables[name]
    if not cursor.is_at_end:
        raise UnreadableModel(f"{file.name} has bytes after its last alias")
    return variables


class _Cursor:
    def __init__(self, content: memoryview) -> None:
        self._content = content
        self._at = 0

    @property
    def is_at_end(self) -> bool:
        return self._at == len(self._content)

    def number(self, form: str) -> Any:
        [value] = struct.unpack("<" + form, self._take(struct.calcsize("<" + form)))
        return value

    def text(self) -> str:
        return bytes(self._take(self.number("H"))).rstrip(b"\0").decode()

    def variable(self) -> tuple[str, np.ndarray]:
        name, rank = self.text(), self.number("B")
        shape = tuple(self.number("I") for _ in range(rank))
        kind, size = self.number("B"), self.number("I")
        if kind >= len(_TYPES):
            raise UnreadableModel(f"the variable {name} has the unknown type {kind}")
        return name, np.frombuffer(self._take(size), _TYPES[kind]).reshape(shape)

    def _take(self, size: int) -> memoryview:
        if self._at + size > len(self._content):
            raise UnreadableModel("the file is cut off")
        self._at += size
        return self._content[self._at - size : self._at]
