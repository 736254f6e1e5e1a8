"""Gets a model's files: from the cache without any network, else from the hub, with progress and checks."""

import errno
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from rapl_protocol.models import Progress

from rapl_mlx.child.contract import ChildConfig, ModelFailed
from rapl_mlx.download.byte_progress import ByteProgress
from rapl_mlx.download.hub_cache import CachedRepo, Listing
from rapl_mlx.download.model_files import CODE_PATTERN, FILE_PATTERNS, DamagedFile, refuse_code, require_whole
from rapl_mlx.download.resumable import fetch_large_files

_TRY_AGAIN_S = 60.0

log = logging.getLogger("rapl.mlx")


def obtain(config: ChildConfig, report: Callable[[Progress], None]) -> Path:
    """The folder with the model's files, which are whole.

    Raises:
        ModelFailed: with the reason and the remedy.
    """
    folder = config.folder or _from_cache(config)
    if folder is None:
        folder = _from_hub(config, report)
    elif not folder.is_dir():
        raise ModelFailed(f"there is no folder {folder}", "Correct its entry in RAPL_MLX_MODELS.")
    try:
        require_whole(folder)
        if not config.may_run_code:
            refuse_code(config.id, (path.name for path in folder.rglob("*.py")), folder)
    except DamagedFile as error:
        remedy = "Put the whole model there, then load it again." if config.folder else "Choose another repository."
        raise ModelFailed(str(error), remedy) from error
    return folder


def _patterns(config: ChildConfig) -> tuple[str, ...]:
    return (*FILE_PATTERNS, CODE_PATTERN) if config.may_run_code else FILE_PATTERNS


def _from_cache(config: ChildConfig) -> Path | None:
    """The snapshot that is already here, or None if it is not here or not whole. Needs no network."""
    repo = CachedRepo(config.id, config.revision)
    listing = repo.read_listing()
    try:
        if listing:
            listing = listing.only(_patterns(config))
            repo.require_undamaged(listing)
            snapshot = repo.snapshot(listing.commit)
            return None if listing.missing_bytes(snapshot) else snapshot
        # Another program may have put it there.
        snapshot = Path(
            snapshot_download(
                config.id, revision=config.revision, allow_patterns=list(_patterns(config)), local_files_only=True
            )
        )
        require_whole(snapshot)
    except LocalEntryNotFoundError:
        return None
    except DamagedFile as error:
        log.warning("model=%s is fetched again: %s", config.id, error)
        return None
    return snapshot


def _from_hub(config: ChildConfig, report: Callable[[Progress], None]) -> Path:
    repo = CachedRepo(config.id, config.revision)
    with _failures_explained(config):
        listing = repo.read_listing()
        if listing is None:
            listing = Listing.fetch(config.id, config.revision)
            if not config.may_run_code:
                refuse_code(config.id, listing.files)
            repo.write_listing(listing)
        listing = listing.only(_patterns(config))
        missing_bytes = listing.missing_bytes(repo.snapshot(listing.commit))
        _require_space(repo.folder, missing_bytes)
        total_bytes = sum(file.size_bytes for file in listing.files.values())
        progress = ByteProgress(report, total_bytes - missing_bytes, total_bytes)
        fetch_large_files(repo, listing, progress)
        snapshot = snapshot_download(
            config.id,
            revision=listing.commit,
            allow_patterns=list(_patterns(config)),
            tqdm_class=progress.bar_class(counted=False),
        )
        repo.require_undamaged(listing)
    return Path(snapshot)


def _require_space(folder: Path, needed_bytes: int) -> None:
    free_bytes = shutil.disk_usage(next(p for p in folder.parents if p.exists())).free
    if free_bytes < needed_bytes:
        raise ModelFailed(
            f"the disk has {free_bytes / 1e9:.1f} GB free and the model needs {needed_bytes / 1e9:.1f} GB more",
            "Free some space, or set HF_HOME to a folder on another disk; then load it again.",
        )


@contextmanager
def _failures_explained(config: ChildConfig) -> Iterator[None]:
    try:
        yield
    except ModelFailed:
        raise
    except DamagedFile as error:
        remedy = "The file was removed. Load the model again to fetch it anew."
        raise ModelFailed(str(error), remedy) from error
    except Exception as error:
        log.warning("model=%s download failed: %s", config.id, error)
        raise _explained(error, config) from error


def _explained(error: Exception, config: ChildConfig) -> ModelFailed:
    hub = constants.ENDPOINT
    match error:
        case GatedRepoError():
            return ModelFailed("its repository is gated", f"Accept its terms at {hub}/{config.id} and set HF_TOKEN.")
        case RepositoryNotFoundError():
            remedy = "Correct the id in RAPL_MLX_MODELS; for a private one set HF_TOKEN."
            return ModelFailed(f"{hub} has no model {config.id!r}, or it is private", remedy)
        case RevisionNotFoundError():
            if config.revision is None:
                remedy = f"Remove {CachedRepo(config.id, None).folder} and load it again, to take the newest one."
                return ModelFailed("the hub no longer has the commit that was resolved at first", remedy)
            return ModelFailed(f"it has no revision {config.revision!r}", "Correct it in RAPL_MLX_MODELS.")
        case OfflineModeIsEnabled():
            remedy = "Unset HF_HUB_OFFLINE once to download it, or copy it into the cache."
            return ModelFailed("it is not in the cache and HF_HUB_OFFLINE is set", remedy)
        case HfHubHTTPError():
            reason = f"{hub} answered {error.response.status_code}"
        case OSError(errno=errno.ENOSPC):
            return ModelFailed("the disk is full", "Free some space; then load it again: it resumes.")
        case PermissionError():
            remedy = "Make it writable, or set HF_HOME to a folder that is."
            return ModelFailed(f"the cache {constants.HF_HUB_CACHE} cannot be written to", remedy)
        case _:
            reason = f"it is not in the cache and {hub} cannot be reached, or broke off ({type(error).__name__})"
    remedy = "Check the network. It tries again every minute and resumes where it stopped."
    return ModelFailed(reason, remedy, retry_after_s=_TRY_AGAIN_S)
