"""A model's files on this disk: their size, and their removal. Needs no network and imports no large library."""

import shutil
from pathlib import Path

from rapl_hub.files import folder_bytes
from rapl_protocol.errors import ErrorCode, ServiceError

from rapl_mlx.models.catalog import ModelSource


def cached_repo_folder(repo_id: str) -> Path:
    """The folder of a repository in Hugging Face's cache. Source: huggingface_hub, guide "Understand caching"."""
    return _cache() / f"models--{repo_id.replace('/', '--')}"


def locks_folder(repo_id: str) -> Path:
    """The folder of the lock files that every client of the cache uses for this repository."""
    return _cache() / ".locks" / cached_repo_folder(repo_id).name


def disk_bytes(source: ModelSource) -> int:
    """The size of the model's files, in all revisions and with those of an unfinished download; 0 without files."""
    return folder_bytes(source.folder or cached_repo_folder(source.id))


def remove_files(source: ModelSource) -> None:
    """Removes the model from Hugging Face's cache. Does nothing if it is not there.

    Raises:
        ServiceError: UNSUPPORTED_PARAMETER if the files are in a folder of the operator, or cannot be deleted.
    """
    if source.folder:
        message = f"The files of {source.id!r} are in a folder that RAPL_MLX_MODELS names. Delete that folder yourself."
        raise ServiceError(ErrorCode.UNSUPPORTED_PARAMETER, message, param="model")
    for folder in (cached_repo_folder(source.id), locks_folder(source.id)):
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            continue
        except OSError as error:
            message = f"The files of {source.id!r} cannot be deleted ({error.strerror}). Delete {folder} yourself."
            raise ServiceError(ErrorCode.UNSUPPORTED_PARAMETER, message, param="model") from error


def _cache() -> Path:
    from huggingface_hub import constants  # takes 3 MB, so not before it is needed

    return Path(constants.HF_HUB_CACHE)
