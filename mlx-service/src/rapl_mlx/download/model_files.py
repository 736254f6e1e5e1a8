"""Which files of a repository may be downloaded, and whether a folder has a whole model without code of its own."""

import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rapl_hub.errors import DamagedFile

from rapl_mlx.child.contract import ModelFailed

FILE_PATTERNS = ("*.json", "*.safetensors", "*.model", "*.tiktoken", "*.txt", "*.jinja", "*.jsonl", "*.yaml", "*.npz")
"""mlx-audio's patterns without *.py and *.pth: loading those files runs code. Source: mlx_audio/utils.py, 0.6.2."""
CODE_PATTERN = "*.py"
_INDEX = "model.safetensors.index.json"
_MAX_HEADER_BYTES = 100 << 20
"""Source: https://github.com/huggingface/safetensors/blob/main/safetensors/src/tensor.rs"""


def require_whole(folder: Path) -> None:
    """Checks that no file of the model is missing or cut off. Raises: DamagedFile, with the file's name."""
    if not (folder / "config.json").is_file():
        raise DamagedFile(f"config.json is missing in {folder.name!r}")
    _read_json(folder / "config.json")
    weights = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.npz"))
    if not weights:
        raise DamagedFile(f"there are no weights (*.safetensors) in {folder.name!r}")
    for path in weights:
        if path.suffix == ".safetensors":
            _require_whole_safetensors(path)
        elif not zipfile.is_zipfile(path):
            raise DamagedFile(f"{path.name} is cut off or damaged")
    if (folder / _INDEX).is_file():
        for name in set(_read_json(folder / _INDEX).get("weight_map", {}).values()):
            if not (folder / name).is_file():
                raise DamagedFile(f"{name} is missing")


def weights_bytes(folder: Path) -> int:
    """The size of all weights in the folder, on disk."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.suffix in (".safetensors", ".npz"))


def refuse_code(model_id: str, names: Iterable[str], folder: Path | None = None) -> None:
    """Raises an error if the repository has Python files, or if a configuration file in the folder names some.

    Several families load their tokenizer with trust_remote_code=True, which runs the code that `auto_map` names.

    Raises:
        ModelFailed: the repository contains code.
    """
    code = next((name for name in names if name.endswith(".py")), None)
    if code is None and folder is not None:
        code = next((p.name for p in sorted(folder.glob("*.json")) if "auto_map" in _read_json(p)), None)
    if code is not None:
        raise ModelFailed(
            f"its repository runs Python code of its own ({code})",
            f"If you trust it, add {model_id} to RAPL_MLX_TRUST_CODE and restart mlx-service.",
        )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise DamagedFile(f"{path.name} is not JSON; it is cut off or damaged") from error
    return content if isinstance(content, dict) else {}


def _require_whole_safetensors(path: Path) -> None:
    """Source: https://huggingface.co/docs/safetensors, "Format": u64 length, JSON header, tensors end to end."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= min(size, _MAX_HEADER_BYTES):
            raise DamagedFile(f"{path.name} is cut off or damaged: it has no header")
        try:
            header = json.loads(file.read(length))
        except ValueError as error:
            raise DamagedFile(f"{path.name} is cut off or damaged: its header is unreadable") from error
    ends = (tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__")
    expected = 8 + length + max(ends, default=0)
    if size != expected:
        raise DamagedFile(f"{path.name} is cut off or damaged: {size} bytes of {expected}")
