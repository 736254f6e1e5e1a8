"""Fetches a repository's large files into Hugging Face's cache so that any interruption can be resumed.

huggingface_hub resumes within one call only: it throws a partial file away when the call ends, and leaves it behind
under a name of its own when the process does. Source: https://github.com/huggingface/huggingface_hub/pull/4228
A blob that is in place is left alone by `snapshot_download`, which then fetches the small files and links it all.
"""

import hashlib
from pathlib import Path

from huggingface_hub import constants, hf_hub_url
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers

from rapl_mlx.download.byte_progress import ByteProgress
from rapl_mlx.download.hub_cache import CachedRepo, ListedFile, Listing
from rapl_mlx.download.model_files import DamagedFile

_CHUNK_BYTES = 256 << 10
"""The client writes and counts 10 MB at a time: on a slow line that is a bar that stands still, and what a cut
connection loses."""


def fetch_large_files(repo: CachedRepo, listing: Listing, progress: ByteProgress) -> None:
    """Those of which the hub publishes the SHA-256, which is also the blob's name.

    Raises:
        DamagedFile: what came is not what the hub had listed; it was removed.
        Exception: whatever huggingface_hub raises; what came so far is kept.
    """
    constants.DOWNLOAD_CHUNK_SIZE = _CHUNK_BYTES
    for name, file in listing.files.items():
        if file.sha256:
            url = hf_hub_url(repo.repo_id, name, revision=listing.commit)
            _fetch(url, name, file, repo.folder / "blobs" / file.sha256, progress)


def _fetch(url: str, name: str, file: ListedFile, blob: Path, progress: ByteProgress) -> None:
    if blob.exists():
        return
    blob.parent.mkdir(parents=True, exist_ok=True)
    part = blob.with_name(f"{blob.name}.rapl-part")
    done_bytes = part.stat().st_size if part.exists() else 0
    if done_bytes < file.size_bytes:
        with part.open("ab") as out:
            bars = progress.bar_class(counted=True)
            http_get(url, out, resume_size=done_bytes, headers=build_hf_headers(), tqdm_class=bars)
    try:
        _require_as_listed(part, name, file)
    except DamagedFile:
        part.unlink()
        raise
    part.replace(blob)


def _require_as_listed(path: Path, name: str, file: ListedFile) -> None:
    size = path.stat().st_size
    if size != file.size_bytes:
        raise DamagedFile(f"{name} is cut off or damaged: {size} bytes of {file.size_bytes}")
    with path.open("rb") as content:
        if hashlib.file_digest(content, "sha256").hexdigest() != file.sha256:
            raise DamagedFile(f"{name} is damaged: its SHA-256 differs from the hub's")
