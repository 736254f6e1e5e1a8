"""Hugging Face, through its own client.

What the hub offers (huggingface_hub 2.4.0): a branch or tag resolves to a commit, which is what the manifest keeps;
large files have a SHA-256, small ones only git's own hash.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rapl_sensevoice.unusable import ModelUnusable
from rapl_sensevoice.weights.hub import HubFile, HubUnreachable, Listing, checked, short, wrong_file
from rapl_sensevoice.weights.manifest import size_of

_RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504})


class HuggingFaceHub:
    name = "huggingface"
    title = "Hugging Face"
    repo = "FunAudioLLM/SenseVoiceSmall"

    def list_files(self, revision: str) -> Listing:
        from huggingface_hub import HfApi

        branch = "main" if revision == "master" else revision
        with _failures_named(self.repo, revision):
            info = HfApi().model_info(self.repo, revision=branch, files_metadata=True)
        files = (
            HubFile(s.rfilename, s.size or 0, sha256=s.lfs.sha256 if s.lfs else None, git_sha1=s.blob_id)
            for s in info.siblings or ()
        )
        return Listing(info.sha or branch, tuple(files))

    def download(self, file: HubFile, revision: str, folder: Path) -> None:
        path = folder / file.name
        if path.exists():
            try:
                checked(file, folder)
            except ModelUnusable:
                pass  # it is deleted, and comes anew
            else:
                return
        with _failures_named(self.repo, revision):
            self._fetch(file, revision, path)

    def _fetch(self, file: HubFile, revision: str, path: Path) -> None:
        """Goes on from the bytes of an earlier run: `hf_hub_download` throws them away when its process ends."""
        from huggingface_hub import hf_hub_url
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils import build_hf_headers

        part = path.with_name(f"{path.name}.part")
        done = size_of(part) or 0
        if done > file.size:
            part.unlink()
            done = 0
        url = hf_hub_url(self.repo, file.name, revision=revision)
        try:
            with part.open("ab") as out:
                http_get(
                    url, out, resume_size=done, headers=build_hf_headers(), expected_size=file.size,
                    displayed_filename=file.name,
                )  # fmt: skip
        except OSError as error:
            if "Consistency check failed" not in str(error):
                raise
            part.unlink(missing_ok=True)
            raise wrong_file(path, f"is not what Hugging Face lists ({short(error)})") from error
        part.replace(path)


@contextmanager
def _failures_named(repo: str, revision: str) -> Iterator[None]:
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        yield
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        reason = f"Hugging Face has no {repo} at revision {revision!r} ({short(error)})"
        raise ModelUnusable(reason, "Check RAPL_SENSEVOICE_REVISION, or set RAPL_SENSEVOICE_HUB=modelscope.") from error
    except HfHubHTTPError as error:
        if error.response is None or error.response.status_code in _RETRYABLE:
            raise HubUnreachable(short(error)) from error
        raise ModelUnusable(f"Hugging Face refused: {short(error)}", "Set RAPL_SENSEVOICE_HUB=modelscope.") from error
    except (httpx2.TransportError, ConnectionError) as error:
        raise HubUnreachable(short(error)) from error
