"""A repository in Hugging Face's cache, with the listing that pins its commit.

    $HF_HUB_CACHE/models--owner--name/            written by the hub's client, and usable by every program
        refs/ snapshots/ blobs/
        rapl/<revision>.json                      ours: the commit, and the size and hash of each file

The listing is written before the first byte is downloaded: an interrupted download continues with the same commit,
and a later start needs no network to check that every file is complete.
"""

import json
from pathlib import Path
from urllib.parse import quote

from huggingface_hub.utils import WeakFileLock
from rapl_hub.errors import DamagedFile
from rapl_hub.files import size_of, write_atomically
from rapl_hub.hub import HubFile, Listing
from rapl_hub.huggingface import HuggingFaceHub

from rapl_mlx.download.on_disk import cached_repo_folder, locks_folder


class CachedRepo:
    def __init__(self, repo_id: str, revision: str | None) -> None:
        self.repo_id = repo_id
        self.folder = cached_repo_folder(repo_id)
        self._locks = locks_folder(repo_id)
        self._listing_path = self.folder / "rapl" / f"{quote(revision or 'default', safe='')}.json"

    def snapshot(self, commit: str) -> Path:
        return self.folder / "snapshots" / commit

    def read_listing(self) -> Listing | None:
        """The stored listing; None if there is none, or if it cannot be read."""
        try:
            content = json.loads(self._listing_path.read_bytes())
            files = (HubFile(name, file["size_bytes"], file["sha256"]) for name, file in content["files"].items())
            return Listing(content["commit"], tuple(files))
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return None

    def write_listing(self, listing: Listing) -> None:
        self._listing_path.parent.mkdir(parents=True, exist_ok=True)
        files = {file.name: {"size_bytes": file.size, "sha256": file.sha256} for file in listing.files}
        write_atomically(self._listing_path, json.dumps({"commit": listing.revision, "files": files}, indent=1))

    def sizes(self, listing: Listing) -> dict[Path, int]:
        """The size of each file, by the path to which it is downloaded."""
        return {self._destination(file, listing.revision): file.size for file in listing.files}

    def missing_bytes(self, listing: Listing) -> int:
        """The total size of the files that are missing in the snapshot, or have another size there."""
        snapshot = self.snapshot(listing.revision)
        return sum(file.size for file in listing.files if size_of(snapshot / file.name) != file.size)

    def download_large_files(self, hub: HuggingFaceHub, listing: Listing) -> None:
        """Downloads the files for which the hub publishes a SHA-256. The SHA-256 is also the blob's name in the cache.

        `snapshot_download` keeps existing blobs. So it downloads the small files only, and links all of them.

        Raises: HubError, see `Hub`.
        """
        for file in listing.files:
            blob = self._destination(file, listing.revision)
            if not file.sha256 or blob.exists():
                continue
            for folder in (blob.parent, self._locks):
                folder.mkdir(parents=True, exist_ok=True)
            with WeakFileLock(self._locks / f"{blob.name}.lock"):  # the client's own lock, which every program uses
                if not blob.exists():
                    hub.download(file, listing.revision, blob)

    def require_undamaged(self, listing: Listing) -> None:
        """Deletes the files whose size differs from the listing, so that the next download replaces them.

        Raises:
            DamagedFile: at least one size differs.
        """
        damaged = []
        for file in listing.files:
            path = self.snapshot(listing.revision) / file.name
            if path.is_file() and (size := path.stat().st_size) != file.size:
                damaged.append(f"{file.name} is cut off or damaged: {size} bytes of {file.size}")
                path.resolve().unlink(missing_ok=True)  # the blob to which the snapshot's link points
                path.unlink(missing_ok=True)
        if damaged:
            raise DamagedFile("; ".join(damaged))

    def _destination(self, file: HubFile, commit: str) -> Path:
        return self.folder / "blobs" / file.sha256 if file.sha256 else self.snapshot(commit) / file.name
