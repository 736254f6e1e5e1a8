"""The answers of the two model hubs: the JSON and headers from which their clients know what to download.

Only what `huggingface_hub` 2.4 and `modelscope-hub` 0.5 request when they download a model: no accounts, no Xet, no
redirects to a CDN, no data sets.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT_HASH = re.compile(r"[0-9a-f]{40}")

LFS_SUFFIXES = frozenset({".bin", ".model", ".npz", ".onnx", ".pt", ".safetensors"})
"""Files in large-file storage. Of the others Hugging Face publishes git's SHA-1 in place of a SHA-256."""
LFS_POINTER_BYTES = 134


@dataclass(frozen=True)
class HubFile:
    path: str
    """Relative to the repository, with forward slashes."""
    content: bytes = field(repr=False)

    @property
    def is_lfs(self) -> bool:
        return Path(self.path).suffix in LFS_SUFFIXES

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def git_sha1(self) -> str:
        return hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()


@dataclass(frozen=True)
class Snapshot:
    repo_id: str
    revision: str
    """The branch, tag or commit under which it was published."""
    commit: str
    files: dict[str, HubFile]


@dataclass(frozen=True)
class Answer:
    """A file, or else JSON."""

    content: object = None
    file: HubFile | None = None
    status: HTTPStatus = HTTPStatus.OK
    headers: dict[str, str] = field(default_factory=dict)


class NotFound(Exception):
    """The repository, revision or file is not here."""

    def __init__(self, what: str) -> None:
        """`what` is "Repo", "Revision" or "Entry", as in Hugging Face's error codes."""
        super().__init__(f"{what} not found")
        self.code = f"{what}NotFound"


Find = Callable[[str, str], Snapshot]
"""Find the snapshot of a repository and a revision, or raise `NotFound`."""


def read_snapshot(repo_id: str, folder: Path, revision: str) -> Snapshot:
    """Read every file below `folder`; a `revision` that is not a commit hash gets one computed from the content."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = [HubFile(path.relative_to(folder).as_posix(), path.read_bytes()) for path in paths]
    listing = "\n".join(f"{file.path} {file.sha256}" for file in files)
    computed = hashlib.sha1(f"{repo_id}\n{listing}".encode()).hexdigest()
    commit = revision if COMMIT_HASH.fullmatch(revision) else computed
    return Snapshot(repo_id, revision, commit, {file.path: file for file in files})


def answer(url: str, find: Find) -> Answer:
    """Answer a GET or HEAD of `url`, a path with its query."""
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    for pattern, respond, refuse in ROUTES:
        if match := pattern.fullmatch(unquote(parts.path)):
            try:
                return respond(find, match.groupdict() | query)
            except NotFound as error:
                return refuse(error)
    return Answer({"error": "no such path on a model hub"}, status=HTTPStatus.NOT_FOUND)


def _file(snapshot: Snapshot, path: str) -> HubFile:
    if path not in snapshot.files:
        raise NotFound("Entry")
    return snapshot.files[path]


# Hugging Face. Source: `hf_api.py`, `file_download.py` and `utils/_http.py` of huggingface_hub 2.4.0.


def _huggingface_model(find: Find, query: dict[str, str]) -> Answer:
    snapshot = find(query["repo"], query["revision"] or "main")
    siblings = []
    for file in snapshot.files.values():
        sibling: dict[str, object] = {"rfilename": file.path}
        if "blobs" in query:
            sibling |= {"size": len(file.content), "blobId": file.git_sha1}
            if file.is_lfs:
                sibling["lfs"] = _huggingface_lfs(file, digest_key="sha256")
        siblings.append(sibling)
    return Answer({"id": snapshot.repo_id, "sha": snapshot.commit, "private": False, "siblings": siblings})


def _huggingface_tree(find: Find, query: dict[str, str]) -> Answer:
    tree = []
    for file in find(query["repo"], query["revision"]).files.values():
        entry: dict[str, object] = {
            "type": "file",
            "path": file.path,
            "size": len(file.content),
            "oid": file.git_sha1,
        }
        if file.is_lfs:
            entry["lfs"] = _huggingface_lfs(file, digest_key="oid")
        tree.append(entry)
    return Answer(tree)


def _huggingface_lfs(file: HubFile, digest_key: str) -> dict[str, object]:
    return {digest_key: file.sha256, "size": len(file.content), "pointerSize": LFS_POINTER_BYTES}


def _huggingface_file(find: Find, query: dict[str, str]) -> Answer:
    snapshot = find(query["repo"], query["revision"])
    file = _file(snapshot, query["path"])
    etag = file.sha256 if file.is_lfs else file.git_sha1
    return Answer(file=file, headers={"ETag": f'"{etag}"', "X-Repo-Commit": snapshot.commit})


def _huggingface_refusal(error: NotFound) -> Answer:
    headers = {"X-Error-Code": error.code, "X-Error-Message": str(error)}
    return Answer({"error": str(error)}, status=HTTPStatus.NOT_FOUND, headers=headers)


# ModelScope. Source: `_legacy_api.py` and `_download.py` of modelscope-hub 0.5.1.


def _modelscope_model(find: Find, query: dict[str, str]) -> Answer:
    owner, name = find(query["repo"], "master").repo_id.split("/")
    return _modelscope({"Path": owner, "Name": name, "Revision": "master"})


def _modelscope_listing(find: Find, query: dict[str, str]) -> Answer:
    snapshot = find(query["repo"], query.get("Revision", "master"))
    files = [
        {
            "Type": "blob",
            "Path": file.path,
            "Name": Path(file.path).name,
            "Size": len(file.content),
            "Sha256": file.sha256,
            "IsLFS": file.is_lfs,
            "Revision": snapshot.commit,
        }
        for file in snapshot.files.values()
    ]
    return _modelscope({"Files": files})


def _modelscope_file(find: Find, query: dict[str, str]) -> Answer:
    snapshot = find(query["repo"], query.get("Revision", "master"))
    return Answer(file=_file(snapshot, query.get("FilePath", "")))


def _modelscope(content: object) -> Answer:
    return Answer({"Code": 200, "Data": content, "Message": "success", "RequestId": "", "Success": True})


def _modelscope_refusal(error: NotFound) -> Answer:
    content = {"Code": 404, "Data": None, "Message": str(error), "RequestId": "", "Success": False}
    return Answer(content, status=HTTPStatus.NOT_FOUND)


_REPO = "(?P<repo>[^/]+/[^/]+)"
_REVISION = "(?P<revision>[^/]+)"
ROUTES = (
    (re.compile(f"/api/v1/models/{_REPO}/repo/files"), _modelscope_listing, _modelscope_refusal),
    (re.compile(f"/api/v1/models/{_REPO}/repo"), _modelscope_file, _modelscope_refusal),
    (re.compile(f"/api/v1/models/{_REPO}"), _modelscope_model, _modelscope_refusal),
    (re.compile(f"/api/models/{_REPO}(?:/revision/{_REVISION})?"), _huggingface_model, _huggingface_refusal),
    (re.compile(f"/api/models/{_REPO}/tree/{_REVISION}"), _huggingface_tree, _huggingface_refusal),
    (re.compile(f"/{_REPO}/resolve/{_REVISION}/(?P<path>.+)"), _huggingface_file, _huggingface_refusal),
)
