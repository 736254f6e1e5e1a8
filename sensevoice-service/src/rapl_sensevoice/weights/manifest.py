"""What `prepare-model` put into a model directory: the proof that the weights are whole."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

MANIFEST_NAME = "manifest.json"
_BLOCK_BYTES = 1 << 20


class ManifestFile(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str
    size: int
    """In bytes."""
    sha256: str


class Manifest(BaseModel):
    model_config = ConfigDict(frozen=True)

    hub: str
    repo: str
    revision: str
    """As exact as the hub can say: a commit of Hugging Face; of ModelScope the branch or tag that was asked for."""
    asked_revision: str
    """The setting for which it was downloaded."""
    files: tuple[ManifestFile, ...]

    @classmethod
    def read(cls, folder: Path) -> "Manifest | None":
        """None where there is none, or where it cannot be read."""
        try:
            return cls.model_validate_json((folder / MANIFEST_NAME).read_bytes())
        except (OSError, ValidationError):
            return None

    def write(self, folder: Path) -> None:
        write_atomically(folder / MANIFEST_NAME, self.model_dump_json(indent=2))

    def first_wrong_size(self, folder: Path) -> str | None:
        """The name of a file that is missing or has another size, if there is one."""
        return next((f.name for f in self.files if size_of(folder / f.name) != f.size), None)

    def first_wrong_hash(self, folder: Path) -> str | None:
        """The name of a file with other content, if there is one; reads every byte."""
        return next((f.name for f in self.files if sha256_of(folder / f.name) != f.sha256), None)


def missing_files(folder: Path) -> list[str]:
    """The files that FunASR would need and not find.

    FunASR itself says nothing: it drops the entries of `configuration.json` whose file is missing, and a model
    without `model.pt` runs on random weights.
    """
    try:
        named = json.loads((folder / "configuration.json").read_bytes())["file_path_metas"]
    except (OSError, ValueError, KeyError, TypeError):
        return ["configuration.json"]
    needed = {"init_param": None, "config": None, **named}
    return sorted(
        name or key
        for key, names in needed.items()
        for name in _leaves(names)
        if not (name and (folder / name).is_file())
    )


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _leaves(inner)
    else:
        yield value


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def git_sha1_of(path: Path) -> str:
    """The id that git gives to this content. Source: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects"""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def size_of(path: Path) -> int | None:
    """In bytes; None where there is no such file."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def write_atomically(path: Path, text: str) -> None:
    """A reader sees the old content or the new, never a part."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(text)
    fresh.replace(path)
