"""What a model hub is to `prepare-model`, and which of a repository's files it takes."""

from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Protocol

from rapl_sensevoice.unusable import ModelUnusable
from rapl_sensevoice.weights.manifest import ManifestFile, git_sha1_of, sha256_of, size_of

NEEDED = ("config.yaml", "configuration.json", "am.mvn", "*.bpe.model", "model.pt")
WELCOME = ("tokens.json",)
"""Taken where the repository has it; FunASR does without."""


class HubUnreachable(Exception):
    """The network or the hub is at fault, and may not be the next time."""


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file as the hub describes it."""

    name: str
    size: int
    """In bytes."""
    sha256: str | None = None
    git_sha1: str | None = None
    """What Hugging Face publishes of small files, in place of a SHA-256."""


@dataclass(frozen=True, slots=True)
class Listing:
    revision: str
    """As exact as the hub can say."""
    files: tuple[HubFile, ...]


class Hub(Protocol):
    name: str
    """As in the setting."""
    title: str
    """As people write it."""
    repo: str

    def list_files(self, revision: str) -> Listing:
        """Raises: HubUnreachable; ModelUnusable where the hub has no such repository or revision."""
        ...

    def download(self, file: HubFile, revision: str, folder: Path) -> None:
        """Puts `file` into `folder`, going on with what an earlier run left; does nothing if it is there.

        Raises:
            HubUnreachable: what came so far is kept.
            ModelUnusable: the hub sends something else than it lists; it is deleted.
        """


def files_to_take(listing: Listing, hub: Hub) -> tuple[HubFile, ...]:
    """The files that the model needs, smallest first, and no others: never a program.

    Raises:
        ModelUnusable: one that it needs is not there.
    """
    for pattern in NEEDED:
        if not any(fnmatch(file.name, pattern) for file in listing.files):
            raise ModelUnusable(f"{hub.title} has no {pattern} in {hub.repo}", _CHOOSE)
    taken = [f for f in listing.files if any(fnmatch(f.name, p) for p in NEEDED + WELCOME) and "/" not in f.name]
    return tuple(sorted(taken, key=lambda file: file.size))


def checked(file: HubFile, folder: Path) -> ManifestFile:
    """Compares what was downloaded with what the hub says of it.

    Raises:
        ModelUnusable: they differ; the file is deleted.
    """
    path = folder / file.name
    size = size_of(path)
    if size != file.size:
        raise wrong_file(path, f"has {size} bytes and should have {file.size}")
    sha256 = sha256_of(path)
    if file.sha256 and sha256 != file.sha256:
        raise wrong_file(path, "does not have the SHA-256 that the hub publishes")
    if file.git_sha1 and not file.sha256 and git_sha1_of(path) != file.git_sha1:
        raise wrong_file(path, "does not have the git hash that the hub publishes")
    return ManifestFile(name=file.name, size=file.size, sha256=sha256)


def wrong_file(path: Path, how: str) -> ModelUnusable:
    """Deletes it, so that nobody takes it for good."""
    path.unlink(missing_ok=True)
    return ModelUnusable(f"{path.name} {how}; it was deleted", f"Run `prepare-model` again; if it stays so, {_CHOOSE}")


def short(error: BaseException) -> str:
    """A cause in a line that fits a log and a state file."""
    text = str(error).strip().partition("\n")[0] or type(error).__name__
    return text if len(text) <= 200 else text[:200] + " ..."


_CHOOSE = "choose another hub with RAPL_SENSEVOICE_HUB or another revision with RAPL_SENSEVOICE_REVISION."
