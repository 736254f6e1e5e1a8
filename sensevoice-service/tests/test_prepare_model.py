"""`prepare-model` with the hubs' real clients against a hub on this machine."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rapl_hub.files import sha256_of
from rapl_sensevoice.weights.manifest import Manifest

HUBS = ("modelscope", "huggingface")
BPE_MODEL = "chn_jpn_yue_eng_ko_spectok.bpe.model"
DOWNLOADED = {"config.yaml", "configuration.json", "model.pt", "am.mvn", "tokens.json", BPE_MODEL}

both_hubs = pytest.mark.parametrize("hub_name", HUBS)


def wait_for(condition: Callable[[], Any], process: Any) -> None:
    """Polls while the process runs."""
    while not condition():
        assert process.poll() is None, process.stdout.read()


def ranges(hub: Any, name: str = "model.pt") -> list[str]:
    return [request.range for request in hub.requests if name in request.path and request.range]


@both_hubs
def test_the_needed_files_arrive_whole_and_are_listed_with_their_hashes(
    preparation: Any, repository: Path, hub_name: str
):
    code, output = preparation.run(RAPL_SENSEVOICE_HUB=hub_name)

    assert code == 0, output
    manifest = Manifest.read(preparation.folder)
    assert manifest is not None
    assert manifest.hub == hub_name
    # tokens.json is downloaded if the repository has it
    assert {file.name for file in manifest.files} == {name for name in DOWNLOADED if (repository / name).exists()}
    for file in manifest.files:
        assert (file.size, file.sha256) == ((repository / file.name).stat().st_size, sha256_of(repository / file.name))
    assert not list(preparation.model_dir.rglob("*.py"))
    assert preparation.state() == {}


@both_hubs
def test_a_second_run_uses_no_network(preparation: Any, hub_name: str):
    assert preparation.run(RAPL_SENSEVOICE_HUB=hub_name)[0] == 0
    preparation.hub.offline = True
    preparation.hub.requests.clear()
    code, output = preparation.run(RAPL_SENSEVOICE_HUB=hub_name)

    assert code == 0, output
    assert preparation.hub.requests == []


@both_hubs
def test_a_branch_is_pinned_as_exactly_as_the_hub_can_say(preparation: Any, repository: Path, hub_name: str):
    commit = preparation.hub.find("iic/SenseVoiceSmall", "master").commit
    commits = {
        "modelscope": "master",
        "huggingface": preparation.hub.find("FunAudioLLM/SenseVoiceSmall", "main").commit,
    }
    assert commit
    assert preparation.run(RAPL_SENSEVOICE_HUB=hub_name)[0] == 0

    manifest = Manifest.read(preparation.folder)
    assert manifest is not None
    assert manifest.revision == commits[hub_name]


def changed(repository: Path, folder: Path) -> Path:
    """A newer version of the repository, with other weights of the same size."""
    folder.mkdir()
    for name in DOWNLOADED:
        if (repository / name).exists():
            (folder / name).write_bytes((repository / name).read_bytes())
    (folder / "model.pt").write_bytes(bytes((folder / "model.pt").stat().st_size))
    return folder


def test_a_pinned_commit_is_downloaded_again_although_the_branch_has_moved(
    preparation: Any, repository: Path, tmp_path: Path
):
    assert preparation.run(RAPL_SENSEVOICE_HUB="huggingface")[0] == 0
    preparation.hub.add("FunAudioLLM/SenseVoiceSmall", changed(repository, tmp_path / "newer"), revision="newer")
    (preparation.folder / "model.pt").unlink()
    code, output = preparation.run(RAPL_SENSEVOICE_HUB="huggingface")

    assert code == 0, output
    assert sha256_of(preparation.folder / "model.pt") == sha256_of(repository / "model.pt")


def test_a_branch_that_has_moved_is_not_accepted_as_what_was_pinned(preparation: Any, repository: Path, tmp_path: Path):
    assert preparation.run()[0] == 0
    preparation.hub.add("iic/SenseVoiceSmall", changed(repository, tmp_path / "newer"), revision="newer")
    (preparation.folder / "model.pt").unlink()
    code, output = preparation.run()

    assert code == 1
    assert "model.pt has changed since it was pinned" in output
    assert "manifest.json" in preparation.state()["remedy"]


def test_progress_is_in_the_state_file_while_it_downloads(preparation: Any):
    preparation.hub.bytes_per_s = 700_000
    process = preparation.start()
    seen: list[dict] = []

    def is_half_done() -> bool:
        state = preparation.state()
        if state.get("total_bytes") and state["done_bytes"] > state["total_bytes"] / 3 and state["bytes_per_s"]:
            seen.append(state)
        return bool(seen)

    wait_for(is_half_done, process)
    assert process.wait(180) == 0
    process.stdout.close()
    [state] = seen
    assert state["phase"] == "downloading"
    assert 0 < state["done_bytes"] < state["total_bytes"]


@both_hubs
def test_a_cut_connection_is_resumed(preparation: Any, repository: Path, hub_name: str):
    preparation.hub.cut_after_bytes = 1_200_000
    code, output = preparation.run(RAPL_SENSEVOICE_HUB=hub_name)

    assert code == 0, output
    assert preparation.hub.cut_after_bytes is None, "nothing was cut"
    assert sha256_of(preparation.folder / "model.pt") == sha256_of(repository / "model.pt")


def test_a_killed_download_resumes_where_it_stopped(preparation: Any, repository: Path):
    preparation.hub.bytes_per_s = 700_000
    process = preparation.start()
    part = preparation.folder / "model.pt.incomplete"
    wait_for(lambda: part.exists() and part.stat().st_size >= 1_000_000, process)
    process.kill()
    process.communicate()
    preparation.hub.bytes_per_s = None
    preparation.hub.requests.clear()
    code, output = preparation.run()

    assert code == 0, output
    [resumed] = ranges(preparation.hub)
    assert int(resumed.removeprefix("bytes=").removesuffix("-")) >= 1_000_000
    assert sha256_of(preparation.folder / "model.pt") == sha256_of(repository / "model.pt")


def test_what_an_earlier_run_left_of_a_file_from_hugging_face_is_not_downloaded_again(
    preparation: Any, repository: Path
):
    preparation.folder.mkdir(parents=True)
    whole = (repository / "model.pt").read_bytes()
    (preparation.folder / "model.pt.part").write_bytes(whole[:1_000_000])
    code, output = preparation.run(RAPL_SENSEVOICE_HUB="huggingface")

    assert code == 0, output
    assert ranges(preparation.hub) == ["bytes=1000000-"]
    assert (preparation.folder / "model.pt").read_bytes() == whole


def test_a_terminated_download_reports_that_it_was_stopped(preparation: Any):
    preparation.hub.bytes_per_s = 300_000
    process = preparation.start()
    wait_for(lambda: preparation.state().get("total_bytes"), process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)

    assert process.returncode == 130
    assert preparation.state()["reason"] == "the download was stopped"


@both_hubs
def test_a_file_that_arrives_cut_off_is_named_and_deleted(preparation: Any, hub_name: str):
    preparation.hub.truncate = "model.pt"
    code, output = preparation.run(RAPL_SENSEVOICE_HUB=hub_name)

    assert code == 1
    assert "model.pt" in output
    state = preparation.state()
    assert state["phase"] == "failed"
    assert "model.pt" in state["reason"]
    assert state["remedy"]
    assert not list(preparation.folder.glob("model.pt*"))
    assert not (preparation.folder / "manifest.json").exists()


@both_hubs
def test_a_wrong_file_in_the_folder_is_replaced(preparation: Any, repository: Path, hub_name: str):
    preparation.folder.mkdir(parents=True)
    for name in ("model.pt", "am.mvn"):
        (preparation.folder / name).write_bytes(bytes((repository / name).stat().st_size))
    code, output = preparation.run(RAPL_SENSEVOICE_HUB=hub_name)

    assert code == 0, output
    for name in ("model.pt", "am.mvn"):
        assert sha256_of(preparation.folder / name) == sha256_of(repository / name)


@pytest.mark.parametrize(
    ("hub_name", "reason"),
    [
        ("modelscope", "ModelScope has no iic/SenseVoiceSmall at revision 'v9'"),
        ("huggingface", "Hugging Face has no FunAudioLLM/SenseVoiceSmall at revision 'v9'"),
    ],
)
def test_an_unknown_revision_is_reported(preparation: Any, hub_name: str, reason: str):
    code, output = preparation.run(RAPL_SENSEVOICE_HUB=hub_name, RAPL_SENSEVOICE_REVISION="v9")

    assert code == 1
    assert reason in output
    assert reason in preparation.state()["reason"]


@both_hubs
def test_an_unknown_repository_is_reported(preparation: Any, local_hub_class: Any, hub_name: str):
    with local_hub_class() as empty:
        preparation.hub = empty
        code, _ = preparation.run(RAPL_SENSEVOICE_HUB=hub_name)

    assert code == 1
    assert "SenseVoiceSmall" in preparation.state()["reason"]
    assert preparation.state()["remedy"]


@both_hubs
def test_a_repository_without_weights_is_refused(preparation: Any, repository: Path, tmp_path: Path, hub_name: str):
    folder = changed(repository, tmp_path / "without")
    (folder / "model.pt").unlink()
    for repo in ("iic/SenseVoiceSmall", "FunAudioLLM/SenseVoiceSmall"):
        preparation.hub.add(repo, folder)
    code, output = preparation.run(RAPL_SENSEVOICE_HUB=hub_name)

    assert code == 1
    assert "has no model.pt" in output


def test_a_configuration_that_names_another_file_is_refused(preparation: Any, repository: Path, tmp_path: Path):
    folder = changed(repository, tmp_path / "renamed")
    configuration = json.loads((folder / "configuration.json").read_text())
    configuration["file_path_metas"]["init_param"] = "other.pt"
    (folder / "configuration.json").write_text(json.dumps(configuration))
    preparation.hub.add("iic/SenseVoiceSmall", folder)
    code, output = preparation.run()

    assert code == 1
    assert "other.pt" in output


def test_prepare_model_gives_up_after_a_few_tries_if_the_hub_cannot_be_reached(preparation: Any):
    preparation.hub.offline = True
    code, output = preparation.run(RAPL_SENSEVOICE_HUB="huggingface")

    assert code == 1
    assert "Hugging Face cannot be reached" in preparation.state()["reason"]
    assert output.count("next try in") == 3


def test_keep_trying_reports_the_next_try_and_continues_when_the_hub_is_back(preparation: Any):
    preparation.hub.offline = True
    process = preparation.start("--keep-trying", RAPL_SENSEVOICE_HUB="huggingface")
    wait_for(lambda: preparation.state().get("phase") == "waiting", process)
    assert "next try in 2 s, at " in preparation.state()["reason"]
    assert preparation.state()["remedy"]
    preparation.hub.offline = False
    output, _ = process.communicate(timeout=180)

    assert process.returncode == 0, output
