"""The real, unpatched clients of both hubs download from `LocalHub`, pointed at it by environment variables alone."""

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from local_hub import LocalHub

REPO = "rapl/digits"
WEIGHTS = "model.safetensors"
CONFIG = "config.json"
MIB = 1024 * 1024
CLIENT_LIMIT_S = 120

HUGGINGFACE = """
import json, sys
from huggingface_hub import snapshot_download
arguments = json.loads(sys.argv[1])
try:
    print(json.dumps({"path": snapshot_download(**arguments)}))
except Exception as error:
    print(json.dumps({"error": type(error).__name__}))
"""

MODELSCOPE = """
import json, sys
from modelscope.hub.snapshot_download import snapshot_download
from modelscope_hub.errors import FileDownloadError
arguments = json.loads(sys.argv[1])
try:
    print(json.dumps({"path": snapshot_download(arguments.pop("repo_id"), **arguments)}))
except FileDownloadError as error:
    files = {path: type(cause).__name__ for path, cause in error.failed_files.items()}
    print(json.dumps({"error": "FileDownloadError", "files": files}))
except Exception as error:
    print(json.dumps({"error": type(error).__name__}))
"""


class Client:
    """A hub's own `snapshot_download`, in a process with empty caches of its own."""

    def __init__(self, python: str, program: str, hub: LocalHub, home: Path) -> None:
        homes = {"HF_HOME": str(home / "huggingface"), "MODELSCOPE_CACHE": str(home / "modelscope")}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "MODELSCOPE_"))}
        self._environ = inherited | homes | {"MODELSCOPE_HOME": str(home / "login")} | hub.environ
        self._command = [python, "-c", program]

    def download(self, repo_id: str = REPO, revision: str | None = None) -> dict:
        """Return `{"path": ...}`, or `{"error": <exception type>}`."""
        arguments = json.dumps({"repo_id": repo_id, "revision": revision})
        done = subprocess.run(
            [*self._command, arguments], env=self._environ, capture_output=True, text=True, timeout=CLIENT_LIMIT_S
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository with 200 kB of weights and a file in a folder."""
    root = tmp_path / "repository"
    (root / "example").mkdir(parents=True)
    (root / CONFIG).write_text('{"model_type": "qwen3_asr"}')
    (root / "example" / "en.txt").write_text("one two three")
    (root / WEIGHTS).write_bytes(hashlib.shake_128(b"weights").digest(200_000))
    return root


@pytest.fixture
def hub(folder: Path):
    with LocalHub() as hub:
        hub.add(REPO, folder)
        yield hub


@pytest.fixture
def huggingface(hub: LocalHub, tmp_path: Path) -> Client:
    return Client(sys.executable, HUGGINGFACE, hub, tmp_path)


@pytest.fixture
def modelscope(hub: LocalHub, tmp_path: Path) -> Client:
    python = os.environ.get("RAPL_SENSEVOICE_PYTHON")
    if not python:
        pytest.fail("RAPL_SENSEVOICE_PYTHON is not set: name a Python in which `modelscope` is installed")
    return Client(python, MODELSCOPE, hub, tmp_path)


@pytest.fixture(params=["huggingface", "modelscope"])
def client(request: pytest.FixtureRequest) -> Client:
    return request.getfixturevalue(request.param)


def same_files(left: Path, right: Path) -> bool:
    """Whether every file of `left` is in `right` with the same content."""
    paths = [path.relative_to(left) for path in left.rglob("*") if path.is_file()]
    return all((right / path).is_file() and (left / path).read_bytes() == (right / path).read_bytes() for path in paths)


def test_client_downloads_every_file(client: Client, folder: Path):
    assert same_files(folder, Path(client.download()["path"]))


def test_client_gets_the_revision_that_it_names(client: Client, hub: LocalHub, folder: Path):
    hub.add(REPO, folder, revision="v1")
    (folder / CONFIG).write_text("{}")
    hub.add(REPO, folder, revision="v2")

    old, new = (Path(client.download(revision=revision)["path"]) for revision in ("v1", "v2"))

    assert (old / CONFIG).read_text() == '{"model_type": "qwen3_asr"}'
    assert (new / CONFIG).read_text() == "{}"


def test_client_takes_a_commit_hash_as_a_revision(client: Client, hub: LocalHub, folder: Path):
    commit = hub.add(REPO, folder, revision="5" * 40)
    assert commit == "5" * 40
    assert same_files(folder, Path(client.download(revision=commit)["path"]))


def resumed_ranges(hub: LocalHub) -> list[str | None]:
    return [request.range for request in hub.requests if request.status == 206]


def test_modelscope_resumes_where_the_connection_was_cut(modelscope: Client, hub: LocalHub, folder: Path):
    hub.cut_after_bytes = 50_000
    assert same_files(folder, Path(modelscope.download()["path"]))
    assert resumed_ranges(hub) == ["bytes=50000-"]


def test_huggingface_resumes_after_the_last_10_mib_that_arrived(huggingface: Client, hub: LocalHub, folder: Path):
    (folder / WEIGHTS).write_bytes(bytes(12 * MIB))
    hub.add(REPO, folder)
    hub.cut_after_bytes = 11 * MIB
    assert same_files(folder, Path(huggingface.download()["path"]))
    assert resumed_ranges(hub) == [f"bytes={10 * MIB}-"]


def test_huggingface_starts_a_small_file_again(huggingface: Client, hub: LocalHub, folder: Path):
    hub.cut_after_bytes = 50_000
    assert same_files(folder, Path(huggingface.download()["path"]))
    assert resumed_ranges(hub) == []


def test_client_downloads_nothing_twice(client: Client, hub: LocalHub):
    client.download()
    hub.requests.clear()
    client.download()
    assert not [request for request in hub.requests if request.method == "GET" and WEIGHTS in request.path]


def test_a_throttled_file_is_served_no_faster_than_its_rate(client: Client, hub: LocalHub):
    hub.bytes_per_s = 100_000
    started_s = time.monotonic()
    client.download()
    assert time.monotonic() - started_s > 1.9


def test_huggingface_does_not_notice_a_truncated_file(huggingface: Client, hub: LocalHub):
    hub.truncate = WEIGHTS
    path = Path(huggingface.download()["path"])
    assert (path / WEIGHTS).stat().st_size == 100_000


def test_modelscope_refuses_a_truncated_file(modelscope: Client, hub: LocalHub):
    hub.truncate = WEIGHTS
    assert modelscope.download() == {"error": "FileDownloadError", "files": {WEIGHTS: "FileSizeMismatchError"}}


@pytest.mark.parametrize(("name", "error"), [("huggingface", "RepositoryNotFoundError"), ("modelscope", "HTTPError")])
def test_unknown_repository_is_the_clients_own_error(request: pytest.FixtureRequest, name: str, error: str):
    client = request.getfixturevalue(name)
    assert client.download("rapl/unknown") == {"error": error}


@pytest.mark.parametrize(("name", "error"), [("huggingface", "RevisionNotFoundError"), ("modelscope", "HTTPError")])
def test_unknown_revision_is_the_clients_own_error(request: pytest.FixtureRequest, name: str, error: str):
    client = request.getfixturevalue(name)
    assert client.download(revision="v9") == {"error": error}


def test_huggingface_cannot_connect_while_the_hub_is_offline(huggingface: Client, hub: LocalHub, folder: Path):
    hub.offline = True
    assert huggingface.download() == {"error": "LocalEntryNotFoundError"}
    hub.offline = False
    assert same_files(folder, Path(huggingface.download()["path"]))
