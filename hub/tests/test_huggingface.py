"""`HuggingFaceHub` with the real client, in a process of its own, against a hub on this machine.

`ModelScopeHub` is tested with `prepare-model`, in whose environment ModelScope's client is.
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from local_hub import LocalHub

REPO, WEIGHTS = "rapl/digits", "model.safetensors"
PROGRAM = """
import json, sys
from pathlib import Path
from rapl_hub.errors import HubError
from rapl_hub.huggingface import HuggingFaceHub
repo, revision, folder = sys.argv[1:]
hub = HuggingFaceHub(repo)
try:
    listing = hub.list_files(revision or None)
    for file in listing.files:
        hub.download(file, listing.revision, Path(folder) / file.name)
    print(json.dumps({"revision": listing.revision}))
except HubError as error:
    print(json.dumps({"error": type(error).__name__, "message": str(error)}))
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    root.mkdir()
    (root / "config.json").write_text('{"model_type": "qwen3_asr"}')
    (root / WEIGHTS).write_bytes(hashlib.shake_128(b"weights").digest(1_000_000))
    return root


@pytest.fixture
def hub(repository: Path):
    with LocalHub() as hub:
        hub.add(REPO, repository)
        yield hub


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


def download(hub: LocalHub, folder: Path, repo: str = REPO, revision: str = "", **environ: str) -> dict:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, repo, revision, str(folder)],
        env=inherited | hub.environ | {"HF_HOME": str(folder.parent / "home")} | environ,
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return json.loads(ended.stdout.splitlines()[-1])


def weights_requests(hub: LocalHub) -> list[str | None]:
    """The ranges of the requests for the weights."""
    return [request.range for request in hub.requests if WEIGHTS in request.path]


def test_files_arrive_whole_at_the_commit_of_the_default_branch(hub: LocalHub, repository: Path, folder: Path):
    assert download(hub, folder) == {"revision": hub.find(REPO, "main").commit}
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in repository.iterdir()
    }


def test_a_download_resumes_with_the_bytes_of_an_earlier_process(hub: LocalHub, repository: Path, folder: Path):
    whole = (repository / WEIGHTS).read_bytes()
    (folder / f"{WEIGHTS}.part").write_bytes(whole[:700_000])
    download(hub, folder)

    assert weights_requests(hub) == ["bytes=700000-"]
    assert (folder / WEIGHTS).read_bytes() == whole


def test_a_cut_connection_loses_no_more_than_the_last_256_kib(hub: LocalHub, repository: Path, folder: Path):
    hub.cut_after_bytes = 900_000
    download(hub, folder)

    [_, resumed] = weights_requests(hub)
    assert int((resumed or "").removeprefix("bytes=").removesuffix("-")) >= 900_000 - (256 << 10)
    assert (folder / WEIGHTS).read_bytes() == (repository / WEIGHTS).read_bytes()


def test_a_whole_file_is_not_downloaded_again_and_a_wrong_one_is(hub: LocalHub, repository: Path, folder: Path):
    download(hub, folder)
    hub.requests.clear()
    download(hub, folder)
    assert weights_requests(hub) == []

    (folder / WEIGHTS).write_bytes(bytes(1_000_000))
    download(hub, folder)
    assert (folder / WEIGHTS).read_bytes() == (repository / WEIGHTS).read_bytes()


@pytest.mark.parametrize("earlier", [b"", b"another version"])
def test_content_that_differs_from_the_listing_is_deleted_and_named(hub: LocalHub, folder: Path, earlier: bytes):
    (folder / f"{WEIGHTS}.part").write_bytes(earlier)
    if not earlier:
        hub.truncate = WEIGHTS
    answer = download(hub, folder)

    assert answer["error"] == "DamagedFile"
    assert WEIGHTS in answer["message"]
    assert not list(folder.glob(f"{WEIGHTS}*"))


@pytest.mark.parametrize(
    ("repo", "revision", "error", "message"),
    [
        ("rapl/unknown", "", "NotFound", "Hugging Face has no rapl/unknown, or it is private"),
        (REPO, "v9", "RevisionNotFound", f"Hugging Face has no {REPO} at revision 'v9'"),
    ],
)
def test_what_the_hub_does_not_have_is_named_with_the_hubs_address(
    hub: LocalHub, folder: Path, repo: str, revision: str, error: str, message: str
):
    assert download(hub, folder, repo, revision) == {"error": error, "message": f"{message} ({hub.url})"}


def test_a_hub_that_cannot_be_reached_is_unavailable_and_named(hub: LocalHub, folder: Path):
    hub.offline = True
    answer = download(hub, folder)

    assert answer["error"] == "HubUnavailable"
    assert answer["message"].startswith(f"Hugging Face cannot be reached ({hub.url}: ")


def test_offline_mode_sends_nothing(hub: LocalHub, folder: Path):
    assert download(hub, folder, HF_HUB_OFFLINE="1")["error"] == "HubOffline"
    assert hub.requests == []
