import importlib.util
import subprocess
import sys

import pytest

PROGRAM = """
import importlib, pkgutil, sys
import rapl_sensevoice
for module in pkgutil.iter_modules(rapl_sensevoice.__path__):
    importlib.import_module(f"rapl_sensevoice.{module.name}")
heavy = {"torch", "funasr", "openvino", "modelscope", "modelscope_hub", "huggingface_hub", "requests", "tqdm"}
print(sorted(heavy & set(sys.modules)))
"""


def test_importing_the_package_loads_no_model_library():
    listed = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=True)

    assert listed.stdout == "[]\n"


def test_openvino_is_installed_without_its_telemetry():
    assert importlib.util.find_spec("openvino") is not None
    assert importlib.util.find_spec("openvino_telemetry") is None


@pytest.mark.parametrize(
    "program",
    [
        # With a CPU torch it fails with an OSError that FunASR does not catch.
        "import importlib.util; assert importlib.util.find_spec('torchaudio') is None",
        "from funasr import AutoModel",
        "import kaldi_native_fbank",
    ],
)
def test_the_engines_interpreter_has_funasr_and_not_torchaudio(engine_python: str, program: str):
    ended = subprocess.run([engine_python, "-c", program], capture_output=True, text=True, timeout=300)

    assert ended.returncode == 0, ended.stderr
