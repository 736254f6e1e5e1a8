"""Gets a model's files: from the cache without any network, otherwise from the hub, with progress and checks."""

import errno
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError
from huggingface_hub.utils import disable_progress_bars
from rapl_hub.errors import DamagedFile, HubError, HubOffline, NotFound, RepositoryGated, RevisionNotFound
from rapl_hub.huggingface import HuggingFaceHub, hub_errors
from rapl_hub.progress import DownloadMeter
from rapl_protocol.models import Progress

from rapl_mlx.child.contract import ChildConfig, ModelFailed
from rapl_mlx.download.hub_cache import CachedRepo
from rapl_mlx.download.model_files import CODE_PATTERN, FILE_PATTERNS, refuse_code, require_whole

_RETRY_AFTER_S = 60.0

log = logging.getLogger("rapl.mlx")


def obtain(config: ChildConfig, report: Callable[[Progress], None]) -> Path:
    """Returns the folder with the model's files. All of them are complete.

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
    """Returns the snapshot in the cache; None if it is missing or incomplete. Needs no network."""
    repo = CachedRepo(config.id, config.revision)
    listing = repo.read_listing()
    try:
        if listing:
            listing = listing.matching(_patterns(config))
            repo.require_undamaged(listing)
            return None if repo.missing_bytes(listing) else repo.snapshot(listing.revision)
        # Another program may have downloaded it.
        snapshot = Path(
            snapshot_download(
                config.id, revision=config.revision, allow_patterns=list(_patterns(config)), local_files_only=True
            )
        )
        require_whole(snapshot)
    except LocalEntryNotFoundError:
        return None
    except DamagedFile as error:
        log.warning("model=%s is downloaded again: %s", config.id, error)
        return None
    return snapshot


def _from_hub(config: ChildConfig, report: Callable[[Progress], None]) -> Path:
    repo, hub = CachedRepo(config.id, config.revision), HuggingFaceHub(config.id, part_suffix=".rapl-part")
    disable_progress_bars()  # the parent process shows the progress
    with _failures_explained(config):
        listing = repo.read_listing()
        if listing is None:
            listing = hub.list_files(config.revision)
            if not config.may_run_code:
                refuse_code(config.id, (file.name for file in listing.files))
            repo.write_listing(listing)
        listing = listing.matching(_patterns(config))
        _require_space(repo.folder, repo.missing_bytes(listing))
        with DownloadMeter(report) as meter, hub_errors(config.id, config.revision):
            meter.expect(repo.sizes(listing))
            repo.download_large_files(hub, listing)
            snapshot_download(config.id, revision=listing.revision, allow_patterns=list(_patterns(config)))
        repo.require_undamaged(listing)
    return repo.snapshot(listing.revision)


def _require_space(folder: Path, needed_bytes: int) -> None:
    free_bytes = shutil.disk_usage(next(p for p in folder.parents if p.exists())).free
    if free_bytes < needed_bytes:
        raise ModelFailed(
            f"the disk has {free_bytes / 1e9:.1f} GB free and the model needs {needed_bytes / 1e9:.1f} GB more",
            "Free some space, or set HF_HOME to a folder on another disk. Then load the model again.",
        )


@contextmanager
def _failures_explained(config: ChildConfig) -> Iterator[None]:
    try:
        yield
    except ModelFailed:
        raise
    except Exception as error:
        log.warning("model=%s download failed: %s", config.id, error.__cause__ or error)
        raise _explained(error, config) from error


def _explained(error: Exception, config: ChildConfig) -> ModelFailed:
    match error:
        case DamagedFile():
            return ModelFailed(str(error), "Load the model again, to download the file again.")
        case RepositoryGated():
            return ModelFailed(str(error), f"Accept its terms at {constants.ENDPOINT}/{config.id} and set HF_TOKEN.")
        case RevisionNotFound() if config.revision is None:
            remedy = f"Remove {CachedRepo(config.id, None).folder} and load the model again, to get the newest commit."
            return ModelFailed("the hub no longer has the commit of the first download", remedy)
        case RevisionNotFound():
            return ModelFailed(str(error), "Correct the revision in RAPL_MLX_MODELS.")
        case NotFound():
            return ModelFailed(str(error), "Correct the id in RAPL_MLX_MODELS; for a private model set HF_TOKEN.")
        case HubOffline():
            remedy = "Unset HF_HUB_OFFLINE once to download the model, or copy the model into the cache."
            return ModelFailed("it is not in the cache and HF_HUB_OFFLINE is set", remedy)
        case OSError(errno=errno.ENOSPC):
            return ModelFailed("the disk is full", "Free some space, then load the model again; the download resumes.")
        case PermissionError():
            remedy = "Make it writable, or set HF_HOME to a writable folder."
            return ModelFailed(f"the cache {constants.HF_HUB_CACHE} cannot be written to", remedy)
        case HubError():
            reason = f"it is not in the cache, and {error}"
        case _:
            reason = f"its download was interrupted ({type(error).__name__})"
    remedy = "Check the network. The download is retried every minute and resumes where it stopped."
    return ModelFailed(reason, remedy, retry_after_s=_RETRY_AFTER_S)
