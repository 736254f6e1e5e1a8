"""The interface of a model hub, and the check of a file against the hub's listing."""

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
    """Git's hash of the file. Hugging Face publishes it for small files instead of a SHA-256."""


@dataclass(frozen=True, slots=True)
class Listing:
    revision: str
    """The most exact revision that the hub publishes: a commit on Hugging Face, a branch or tag on ModelScope."""
    files: tuple[HubFile, ...]

    def matching(self, patterns: Sequence[str]) -> "Listing":
        """The listing of the files whose name matches a pattern. Names that lead out of the folder are left out."""
        files = (f for f in self.files if any(fnmatch(f.name, pattern) for pattern in patterns))
        inside = (f for f in files if not f.name.startswith("/") and ".." not in f.name.split("/"))
        return Listing(self.revision, tuple(inside))


class Hub(Protocol):
    name: str
    """Name of the hub in settings and manifests."""
    title: str
    """Name of the hub in messages."""
    repo: str

    def list_files(self, revision: str | None) -> Listing:
        """Lists the files of a branch, tag or commit; None is the default branch. Raises: HubError."""
        ...

    def download(self, file: HubFile, revision: str, path: Path) -> None:
        """Downloads a file to `path` and checks it. Resumes an earlier run; does nothing if the whole file is there.

        Raises:
            HubError: after HubUnavailable the downloaded part is kept, after DamagedFile it is deleted.
        """
        ...


def require_as_listed(file: HubFile, path: Path) -> None:
    """Compares size and content of `path` with the listing.

    Raises:
        DamagedFile: size or content differs; `path` was deleted.
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
