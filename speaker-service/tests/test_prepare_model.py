"""The weights are downloaded by the hubs' real clients, from a hub on this machine."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
VOICE_REPO, SEGMENTATION_REPO = "voices/campplus", "onnx/segmentation"
VOICE, SEGMENTATION = b"the weights of a voice", b"an exported graph"
PROGRAM = """
import logging, sys
from pathlib import Path
from rapl_hub.huggingface import HuggingFaceHub
from rapl_hub.modelscope import ModelScopeHub
from rapl_speakers.prepare_model import Source, prepare
from rapl_speakers.weights import SpeakerWeights, WeightsFile

logging.basicConfig(level=logging.INFO)
folder, sha256 = Path(sys.argv[1]), sys.argv[2]
weights = SpeakerWeights(folder, WeightsFile("voice.pt"), (WeightsFile("model.onnx"),))
sources = (
    Source(ModelScopeHub("voices/campplus", folder / ".modelscope"), "master", "voice.pt", sha256),
    Source(HuggingFaceHub("onnx/segmentation"), "main", "onnx/model.onnx"),
)
code = prepare(weights, sources, keep_trying=False)
print(weights.folder, weights.are_complete)
sys.exit(code)
"""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Any]:
    sys.path.insert(0, str(ROOT / "tests"))
    try:
        from local_hub import LocalHub
    finally:
        sys.path.remove(str(ROOT / "tests"))
    for repo, name, content in ((VOICE_REPO, "voice.pt", VOICE), (SEGMENTATION_REPO, "onnx/model.onnx", SEGMENTATION)):
        path = tmp_path / repo / name
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    with LocalHub() as hub:
        hub.add(VOICE_REPO, tmp_path / VOICE_REPO)
        hub.add(SEGMENTATION_REPO, tmp_path / SEGMENTATION_REPO)
        yield hub


def command(folder: Path, sha256: str = hashlib.sha256(VOICE).hexdigest()) -> list[str]:
    return [sys.executable, "-c", PROGRAM, str(folder), sha256]


def environ(hub: Any, folder: Path) -> dict[str, str]:
    return {**os.environ, **hub.environ, "HF_HOME": str(folder / "home")}


def prepared(hub: Any, folder: Path, *sha256: str) -> subprocess.CompletedProcess:
    arguments = command(folder, *sha256)
    return subprocess.run(arguments, env=environ(hub, folder), capture_output=True, text=True, timeout=200)


def test_both_files_come_from_their_hubs_and_lie_side_by_side(hub: Any, tmp_path: Path):
    ended = prepared(hub, tmp_path / "models")

    folder = tmp_path / "models" / "rapl" / "speakers"
    assert (ended.returncode, ended.stdout) == (0, f"{folder} True\n"), ended.stderr
    assert (folder / "voice.pt").read_bytes() == VOICE
    assert (folder / "model.onnx").read_bytes() == SEGMENTATION
    assert not (folder / "prepare-speakers.json").exists()


def test_a_file_that_is_not_the_published_one_is_not_kept(hub: Any, tmp_path: Path):
    ended = prepared(hub, tmp_path / "models", "0" * 64)

    folder = tmp_path / "models" / "rapl" / "speakers"
    state = json.loads((folder / "prepare-speakers.json").read_text())
    assert ended.returncode == 1
    assert state["phase"] == "failed"
    assert "voice.pt" in state["reason"]
    assert not (folder / "voice.pt").exists()


def test_a_signal_ends_the_command_and_its_state_says_so(hub: Any, tmp_path: Path):
    folder = tmp_path / "models"
    state = folder / "rapl" / "speakers" / "prepare-speakers.json"
    hub.bytes_per_s = 2  # the first file takes ten seconds

    with subprocess.Popen(command(folder), env=environ(hub, folder), stderr=subprocess.PIPE, text=True) as run:
        while not state.exists():
            assert run.poll() is None
            time.sleep(0.05)
        run.send_signal(signal.SIGTERM)
        _, log = run.communicate(timeout=60)

    assert run.returncode == 130, log
    assert json.loads(state.read_text())["reason"] == "the download was stopped"
