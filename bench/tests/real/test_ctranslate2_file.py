"""Reading CTranslate2's format."""

import struct

import numpy as np
import pytest
from rapl_bench.real.ctranslate2_file import UnreadableModel, read_variables


def text(value: str) -> bytes:
    return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"


def model(version: int = 6) -> bytes:
    """A model with one float16 matrix and an alias for it."""
    array = np.arange(6, dtype=np.float16).reshape(2, 3)
    variable = text("a/weight") + struct.pack("<BIIBI", 2, 2, 3, 4, array.nbytes) + array.tobytes()
    alias = text("b/weight") + text("a/weight")
    return (
        struct.pack("<I", version) + text("WhisperSpec") + struct.pack("<II", 3, 1) + variable
        + struct.pack("<I", 1) + alias
    )  # fmt: skip


def test_variables_and_aliases_are_read(tmp_path):
    (tmp_path / "model.bin").write_bytes(model())

    variables = read_variables(tmp_path / "model.bin", "WhisperSpec")

    assert variables["a/weight"].tolist() == variables["b/weight"].tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("content", [model(version=5), model() + b"more", model()[:-1]])
def test_another_version_or_a_damaged_file_is_refused(tmp_path, content):
    (tmp_path / "model.bin").write_bytes(content)

    with pytest.raises(UnreadableModel):
        read_variables(tmp_path / "model.bin", "WhisperSpec")
