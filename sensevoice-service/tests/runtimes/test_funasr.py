"""FunASR silently runs with random weights if some are missing; the runtime refuses them."""

import json
import subprocess

import pytest
from rapl_sensevoice.transcriber import SELFTEST_FOLDER

PROGRAM = """
import json, shutil, sys
from pathlib import Path
from rapl_sensevoice.runtimes.funasr import FunAsrRuntime
from rapl_sensevoice.unusable import ModelUnusable

source, folder = map(Path, sys.argv[1:])
runtime = FunAsrRuntime("cpu", 1)

def outcome(of):
    try:
        of.load(folder)
    except ModelUnusable as error:
        return f"unusable: {error.reason}"
    except Exception as error:
        return f"failed: {type(error).__name__}"
    return "loaded"

def with_weights(change):
    shutil.copytree(source, folder, dirs_exist_ok=True)
    (folder / "model.pt").unlink()
    weights = torch.load(source / "model.pt", map_location="cpu")
    weights = weights.get("state_dict", weights)
    change(weights, next(iter(weights)))
    torch.save(weights, folder / "model.pt")
    return outcome(runtime)

def shorten(weights, name):
    weights[name] = weights[name].flatten()[:1]

import torch
outcomes = {
    "whole": with_weights(lambda weights, name: None),
    "a device that is not there": outcome(FunAsrRuntime("xpu", 1)),
    "a missing tensor": with_weights(lambda weights, name: weights.pop(name)),
    "a tensor of another shape": with_weights(shorten),
}
print(json.dumps(outcomes))
"""


@pytest.fixture(scope="module")
def outcomes(engine_python: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    command = [engine_python, "-c", PROGRAM, str(SELFTEST_FOLDER), str(tmp_path_factory.mktemp("weights"))]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    [line] = ended.stdout.splitlines()  # nothing that FunASR prints is left
    return json.loads(line)


@pytest.mark.parametrize(
    ("weights", "begins_with"),
    [
        ("whole", "loaded"),
        ("a missing tensor", "unusable: model.pt in"),
        ("a tensor of another shape", "failed"),
        ("a device that is not there", "unusable: there is no device 'xpu'"),
    ],
)
def test_only_a_complete_model_on_the_requested_device_is_loaded(
    outcomes: dict[str, str], weights: str, begins_with: str
):
    assert outcomes[weights].startswith(begins_with)
