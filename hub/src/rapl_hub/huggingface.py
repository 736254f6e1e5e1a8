"""Hugging Face, through its own client (huggingface_hub 2.4), at HF_ENDPOINT if that is set.

A branch or tag resolves to a commit. Large files have a SHA-256, small ones only git's own hash.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rapl_hub.errors import (
    DamagedFile,
    HubError,
    HubOffline,
    HubUnavailable,
    NotFound,
    RepositoryGated,
    RevisionNotFound,
    connection_problem,
)
from rapl_hub.files import size_of
from rapl_hub.hub import HubFile, Listing, require_as_listed

_TITLE = "Hugging Face"
_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
_CHUNK_BYTES = 256 << 10
"""The client's default is 10 MB: a slow download would show no progress, and a lost connection would lose that much."""


class HuggingFaceHub:
    """A model repository on Hugging Face.

    Args:
        part_suffix: the suffix of an unfinished file, which lies beside its destination.
    """

    name = "huggingface"
    title = _TITLE

    def __init__(self, repo: str, part_suffix: str = ".part") -> None:
        self.repo = repo
        self._part_suffix = part_suffix

    def list_files(self, revision: str | None) -> Listing:
        from huggingface_hub import HfApi

        with hub_errors(self.repo, revision):
            info = HfApi().model_info(self.repo, revision=revision, files_metadata=True)
        files = (
            HubFile(s.rfilename, s.size or 0, sha256=s.lfs.sha256 if s.lfs else None, git_sha1=s.blob_id)
            for s in info.siblings or ()
        )
        return Listing(info.sha or revision or "", tuple(files))

    def download(self, file: HubFile, revision: str, path: Path) -> None:
        if path.exists():
            try:
                return require_as_listed(file, path)
            except DamagedFile:
                pass  # it is deleted and downloaded again
        part = path.with_name(path.name + self._part_suffix)
        with hub_errors(self.repo, revision):
            self._resume(file, revision, part)
        require_as_listed(file, part)
        part.replace(path)

    def _resume(self, file: HubFile, revision: str, part: Path) -> None:
        """Appends the missing bytes to `part`.

        `hf_hub_download` resumes within one call only: it downloads to a temporary file, which it deletes when the call
        ends. Source: https://github.com/huggingface/huggingface_hub/pull/4228
        """
        from huggingface_hub import constants, hf_hub_url
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils import build_hf_headers

        constants.DOWNLOAD_CHUNK_SIZE = _CHUNK_BYTES
        if (size_of(part) or 0) > file.size:
            part.unlink()
        url = hf_hub_url(self.repo, file.name, revision=revision)
        try:
            with part.open("ab") as out:
                http_get(
                    url, out, resume_size=out.tell(), headers=build_hf_headers(), expected_size=file.size,
                    displayed_filename=file.name,
                )  # fmt: skip
        except OSError as error:
            if "Consistency check failed" not in str(error):  # a wrong size, which our own check reports
                raise


@contextmanager
def hub_errors(repo: str, revision: str | None) -> Iterator[None]:
    """Converts the client's exceptions to HubError. An OSError of the disk is not changed."""
    import httpx2
    from huggingface_hub import constants, errors

    hub = constants.ENDPOINT
    try:
        yield
    except errors.GatedRepoError as error:
        raise RepositoryGated(f"{repo} is gated on {_TITLE} ({hub})") from error
    except errors.RepositoryNotFoundError as error:
        raise NotFound(f"{_TITLE} has no {repo}, or it is private ({hub})") from error
    except errors.RevisionNotFoundError as error:
        raise RevisionNotFound(f"{_TITLE} has no {repo} at revision {revision!r} ({hub})") from error
    except errors.OfflineModeIsEnabled as error:
        raise HubOffline(f"{_TITLE} cannot be used: HF_HUB_OFFLINE is set") from error
    except (httpx2.TransportError, ConnectionError, errors.LocalEntryNotFoundError) as error:
        raise HubUnavailable(f"{_TITLE} cannot be reached ({hub}: {connection_problem(error)})") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        kind = HubUnavailable if status in _TEMPORARY else HubError
        raise kind(f"{_TITLE} answered {status} ({hub}: {error.server_message or 'no reason given'})") from error
