"""A repository in Hugging Face's cache, with the listing that pins its commit.

    $HF_HUB_CACHE/models--owner--name/            the hub client's own
        refs/ snapshots/ blobs/
        rapl/<revision>.json                      ours: the commit, and the size and hash of each file

The listing is written before the first byte is fetched, so an interrupted download goes on with the same commit, and
a later start needs no network to know that every file is whole.
"""

from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import quote

from huggingface_hub import HfApi, constants
from pydantic import BaseModel, ConfigDict, ValidationError

from rapl_mlx.download.model_files import DamagedFile


class ListedFile(BaseModel):
    model_config = ConfigDict(frozen=True)

    size_bytes: int
    sha256: str | None = None
    """None where the hub publishes none, which it does for files in large-file storage only."""


class Listing(BaseModel):
    """A repository at one commit, as the hub described it."""

    model_config = ConfigDict(frozen=True)

    commit: str
    files: dict[str, ListedFile]
    """By path within the repository."""

    @classmethod
    def fetch(cls, repo_id: str, revision: str | None) -> "Listing":
        """Raises: what huggingface_hub raises."""
        info = HfApi().model_info(repo_id, revision=revision, files_metadata=True)
        files = {
            sibling.rfilename: ListedFile(
                size_bytes=sibling.size or 0, sha256=sibling.lfs.sha256 if sibling.lfs else None
            )
            for sibling in info.siblings or ()
        }
        return cls(commit=info.sha or "", files=files)

    def only(self, patterns: tuple[str, ...]) -> "Listing":
        """The same listing without the files that none of the patterns matches."""
        wanted = {name: f for name, f in self.files.items() if any(fnmatch(name, p) for p in patterns)}
        return self.model_copy(update={"files": wanted})

    def missing_bytes(self, snapshot: Path) -> int:
        """Of the files that are not in the snapshot, or are there with another size."""
        return sum(file.size_bytes for name, file in self.files.items() if not _has_size(snapshot / name, file))

    def damaged(self, snapshot: Path) -> Iterator[tuple[Path, str]]:
        """The files that are there with another size than listed, each with what is wrong with it."""
        for name, file in self.files.items():
            path = snapshot / name
            if path.is_file() and not _has_size(path, file):
                yield path, f"{name} is cut off or damaged: {path.stat().st_size} bytes of {file.size_bytes}"


class CachedRepo:
    def __init__(self, repo_id: str, revision: str | None) -> None:
        self.repo_id = repo_id
        self.folder = Path(constants.HF_HUB_CACHE) / f"models--{repo_id.replace('/', '--')}"
        self._listing_path = self.folder / "rapl" / f"{quote(revision or 'default', safe='')}.json"

    def snapshot(self, commit: str) -> Path:
        return self.folder / "snapshots" / commit

    def read_listing(self) -> Listing | None:
        try:
            return Listing.model_validate_json(self._listing_path.read_bytes())
        except (OSError, ValidationError):
            return None

    def write_listing(self, listing: Listing) -> None:
        self._listing_path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._listing_path.with_suffix(".new")
        fresh.write_text(listing.model_dump_json(indent=1))
        fresh.replace(self._listing_path)

    def require_undamaged(self, listing: Listing) -> None:
        """Removes what differs from the listing, so that the next download fetches it anew.

        Raises:
            DamagedFile: something did.
        """
        damaged = list(listing.damaged(self.snapshot(listing.commit)))
        for path, _ in damaged:
            path.resolve().unlink(missing_ok=True)  # the blob that the snapshot's link points at
            path.unlink(missing_ok=True)
        if damaged:
            raise DamagedFile("; ".join(what for _, what in damaged))


def _has_size(path: Path, file: ListedFile) -> bool:
    return path.is_file() and path.stat().st_size == file.size_bytes
