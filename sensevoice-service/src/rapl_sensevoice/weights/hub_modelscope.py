"""ModelScope, through its own client.

What the hub offers (modelscope-hub 0.5.1): a repository has branches and tags; its listing gives each file's size and
SHA-256, but no commit of the whole. So a revision is pinned by the hashes of its files, which the manifest keeps.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rapl_sensevoice.unusable import ModelUnusable
from rapl_sensevoice.weights.hub import HubFile, HubUnreachable, Listing, short, wrong_file
from rapl_sensevoice.weights.on_disk import REPO


class ModelScopeHub:
    """
    Args:
        cache_dir: for the client's locks; it needs no home directory then.
    """

    name = "modelscope"
    title = "ModelScope"
    repo = REPO

    def __init__(self, cache_dir: Path) -> None:
        self._cache_dir = cache_dir

    def list_files(self, revision: str) -> Listing:
        with _failures_named(self.repo, revision):
            infos = self._api().list_repo_files(self.repo, "model", revision=revision)
        files = (HubFile(info.path, info.size, sha256=info.sha256) for info in infos if info.type != "tree")
        return Listing(revision, tuple(files))

    def download(self, file: HubFile, revision: str, folder: Path) -> None:
        from modelscope_hub.errors import FileIntegrityError

        try:
            with _failures_named(self.repo, revision):
                self._api().download_file(
                    self.repo, "model", file.name, revision=revision, local_dir=folder, cache_dir=self._cache_dir,
                    expected_sha256=file.sha256, file_size=file.size,
                )  # fmt: skip
        except FileIntegrityError as error:
            raise wrong_file(folder / file.name, f"is not what ModelScope lists ({short(error)})") from error

    def _api(self) -> Any:
        from modelscope_hub import HubApi
        from modelscope_hub.config import HubConfig

        return HubApi(config=HubConfig(cache_dir=self._cache_dir, config_dir=self._cache_dir))


@contextmanager
def _failures_named(repo: str, revision: str) -> Iterator[None]:
    import requests  # pyright: ignore[reportMissingModuleSource]
    from modelscope_hub.errors import FileIntegrityError, HubError, NotExistError

    try:
        yield
    except NotExistError as error:
        reason = f"ModelScope has no {repo} at revision {revision!r} ({short(error)})"
        remedy = "Check RAPL_SENSEVOICE_REVISION, or set RAPL_SENSEVOICE_HUB=huggingface."
        raise ModelUnusable(reason, remedy) from error
    except FileIntegrityError:
        raise
    except HubError as error:
        if error.retryable:
            raise HubUnreachable(short(error.__cause__ or error)) from error
        raise ModelUnusable(f"ModelScope refused: {short(error)}", "Set RAPL_SENSEVOICE_HUB=huggingface.") from error
    except requests.RequestException as error:
        raise HubUnreachable(short(error)) from error
