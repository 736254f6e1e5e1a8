"""The manifest that `prepare-model` writes into a model directory. It proves that the weights are complete."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError
from rapl_hub.files import sha256_of, size_of, write_atomically

MANIFEST_NAME = "manifest.json"


class ManifestFile(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str
    size: int
    """In bytes."""
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "ManifestFile":
        return cls(name=path.name, size=path.stat().st_size, sha256=sha256_of(path))


class ManifestFiles(BaseModel):
    """The base of every manifest: a list of files, and checks whether a folder contains them unchanged."""

    model_config = ConfigDict(frozen=True)

    files: tuple[ManifestFile, ...]

    def first_wrong_size(self, folder: Path) -> str | None:
        """Returns the name of the first file that is missing or has another size, or None."""
        return next((f.name for f in self.files if size_of(folder / f.name) != f.size), None)

    def first_wrong_hash(self, folder: Path) -> str | None:
        """Returns the name of the first file with other content, or None. Reads every byte."""
        return next((f.name for f in self.files if sha256_of(folder / f.name) != f.sha256), None)


class Manifest(ManifestFiles):
    hub: str
    repo: str
    revision: str
    """As exact as the hub reports it: a commit of Hugging Face, or a branch or tag of ModelScope."""
    requested_revision: str = Field(
        validation_alias=AliasChoices("requested_revision", "asked_revision"), serialization_alias="asked_revision"
    )
    """The value of the setting at the download. Its name in the file is `asked_revision`."""

    @classmethod
    def read(cls, folder: Path) -> "Manifest | None":
        """Returns None if the manifest is missing or cannot be read."""
        try:
            return cls.model_validate_json((folder / MANIFEST_NAME).read_bytes())
        except (OSError, ValidationError):
            return None

    def write(self, folder: Path) -> None:
        write_atomically(folder / MANIFEST_NAME, self.model_dump_json(indent=2, by_alias=True))


def missing_files(folder: Path) -> list[str]:
    """Returns the files that FunASR needs and that are missing.

    FunASR does not report them: it drops the entries of `configuration.json` whose file is missing, and a model
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
