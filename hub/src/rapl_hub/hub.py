"""What a model hub offers, and the check of a file against the hub's listing."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Protocol

from rapl_hub.errors import DamagedFile
from rapl_hub.files import git_sha1_of, sha256_of, size_of


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file as the hub lists it."""

    name: str
    """Path within the repository."""
    size: int
    """In bytes."""
    sha256: str | None = None
    git_sha1: str | None = None
    """What Hugging Face publishes of small files instead of a SHA-256."""


@dataclass(frozen=True, slots=True)
class Listing:
    revision: str
    """As exact as the hub can say: a commit of Hugging Face, a branch or tag of ModelScope."""
    files: tuple[HubFile, ...]

    def matching(self, patterns: Sequence[str]) -> "Listing":
        """The same listing with only the files whose name matches a pattern, and none that leaves the folder."""
        files = (f for f in self.files if any(fnmatch(f.name, pattern) for pattern in patterns))
        inside = (f for f in files if not f.name.startswith("/") and ".." not in f.name.split("/"))
        return Listing(self.revision, tuple(inside))


class Hub(Protocol):
    name: str
    """As in settings and manifests."""
    title: str
    """As people write it."""
    repo: str

    def list_files(self, revision: str | None) -> Listing:
        """Lists the files of a branch, tag or commit; None is the default branch. Raises: HubError."""
        ...

    def download(self, file: HubFile, revision: str, path: Path) -> None:
        """Puts the whole, checked file at `path`, resuming what an earlier run left; does nothing if it is there.

        Raises:
            HubError: a HubUnavailable keeps what was downloaded so far, a DamagedFile deletes it.
        """
        ...


def require_as_listed(file: HubFile, path: Path) -> None:
    """Compares size and content of `path` with the listing.

    Raises:
        DamagedFile: they differ; `path` is deleted.
    """
    if difference := _difference(file, path):
        path.unlink(missing_ok=True)
        raise DamagedFile(f"{file.name} {difference}; it was deleted")


def _difference(file: HubFile, path: Path) -> str | None:
    size = size_of(path) or 0
    if size != file.size:
        return f"is cut off or damaged: {size} bytes of {file.size}"
    if file.sha256:
        return None if sha256_of(path) == file.sha256 else "is damaged: its SHA-256 differs from the hub's"
    if file.git_sha1 and git_sha1_of(path) != file.git_sha1:
        return "is damaged: its git hash differs from the hub's"
    return None
