"""A PyTorch checkpoint is read without PyTorch, and nothing in it is run."""

from pathlib import Path

import numpy as np
import pytest
from checkpoints import Call, tensor, write_checkpoint
from rapl_speakers.networks.checkpoint import read_checkpoint


def test_tensors_are_read_by_their_names(tmp_path: Path):
    values = np.arange(6, dtype=np.float32)
    path = write_checkpoint(tmp_path / "w.pt", {"a.weight": tensor("a", (2, 3), (3, 1), 6)}, a=values)

    assert read_checkpoint(path)["a.weight"].tolist() == values.reshape(2, 3).tolist()


def test_a_transposed_tensor_is_read_by_its_strides(tmp_path: Path):
    values = np.arange(6, dtype=np.float32)
    path = write_checkpoint(tmp_path / "w.pt", {"a": tensor("a", (3, 2), (1, 3), 6)}, a=values)

    assert read_checkpoint(path)["a"].tolist() == values.reshape(2, 3).T.tolist()


def test_the_state_dictionary_of_a_trainer_is_found_among_other_things(tmp_path: Path):
    whole = {
        "state_dict": {"a": tensor("a", (2,), (1,), 2), "count": tensor("n", (1,), (1,), 1, "LongStorage")},
        "task": Call("pyannote.audio", "Task", 1),
    }
    path = write_checkpoint(tmp_path / "w.bin", whole, a=np.ones(2, np.float32), n=np.array([3]))

    assert {name: each.tolist() for name, each in read_checkpoint(path).items()} == {"a": [1, 1]}


def test_a_call_in_the_file_is_not_run(tmp_path: Path):
    target = tmp_path / "touched"
    path = write_checkpoint(tmp_path / "w.pt", {"a": Call("os", "mkdir", str(target))})

    read_checkpoint(path)

    assert not target.exists()


@pytest.mark.parametrize("shape", [(7,), (2, 4), (-1,)])
def test_a_tensor_that_lies_outside_its_storage_is_an_error(tmp_path: Path, shape: tuple[int, ...]):
    strides = (4, 1)[-len(shape) :]
    path = write_checkpoint(tmp_path / "w.pt", {"a": tensor("a", shape, strides, 6)}, a=np.zeros(6, np.float32))

    with pytest.raises(ValueError, match=r"w\.pt is not a PyTorch checkpoint"):
        read_checkpoint(path)


@pytest.mark.parametrize("content", [b"", b"weights", b"PK\x05\x06" + bytes(18)])
def test_another_file_is_an_error(tmp_path: Path, content: bytes):
    path = tmp_path / "w.pt"
    path.write_bytes(content)

    with pytest.raises(ValueError, match=r"w\.pt is not a PyTorch checkpoint"):
        read_checkpoint(path)
