"""ModelScope, through its own client (modelscope-hub 0.5.1), at MODELSCOPE_ENDPOINT if that is set.

A repository has branches and tags. Its listing has the size and SHA-256 of each file, but no commit. So the hashes of
the files pin a revision.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rapl_hub.errors import DamagedFile, HubError, HubUnavailable, NotFound, connection_problem, short
from rapl_hub.hub import HubFile, Listing, require_as_listed


class ModelScopeHub:
    """A model repository on ModelScope.

    Args:
        cache_dir: folder for the client's locks, so that the client needs no home directory.
    """

    name = "modelscope"
    title = "ModelScope"

    def __init__(self, repo: str, cache_dir: Path) -> None:
        self.repo = repo
        self._cache_dir = cache_dir

    def list_files(self, revision: str | None) -> Listing:
        with _hub_errors(self.repo, revision):
            infos = self._api().list_repo_files(self.repo, "model", revision=revision)
        files = (HubFile(info.path, info.size, sha256=info.sha256) for info in infos if info.type != "tree")
        return Listing(revision or "master", tuple(files))

    def download(self, file: HubFile, revision: str, path: Path) -> None:
        """See `Hub`; `path` must end with the file's name."""
        try:
            with _hub_errors(self.repo, revision):
                self._api().download_file(
                    self.repo, "model", file.name, revision=revision, local_dir=path.parent, cache_dir=self._cache_dir,
                    expected_sha256=file.sha256, file_size=file.size,
                )  # fmt: skip
        except DamagedFile as error:
            path.unlink(missing_ok=True)
            raise DamagedFile(f"{file.name} {error}; it was deleted") from error
        require_as_listed(file, path)

    def _api(self) -> Any:
        from modelscope_hub import HubApi
        from modelscope_hub.config import HubConfig

        return HubApi(config=HubConfig(cache_dir=self._cache_dir, config_dir=self._cache_dir))


@contextmanager
def _hub_errors(repo: str, revision: str | None) -> Iterator[None]:
    import requests  # pyright: ignore[reportMissingModuleSource]
    from modelscope_hub import errors

    try:
        yield
    except errors.NotExistError as error:
        raise NotFound(f"ModelScope has no {repo} at revision {revision!r}") from error
    except errors.FileIntegrityError as error:
        raise DamagedFile(f"is not what ModelScope lists ({short(error)})") from error
    except errors.HubError as error:
        if error.retryable:
            raise HubUnavailable(f"ModelScope cannot be reached ({connection_problem(error)})") from error
        raise HubError(f"ModelScope refused: {short(error)}") from error
    except requests.RequestException as error:
        raise HubUnavailable(f"ModelScope cannot be reached ({connection_problem(error)})") from error
