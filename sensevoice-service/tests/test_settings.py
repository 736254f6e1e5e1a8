import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError
from rapl_sensevoice.settings import Settings
from rapl_service.cpu_quota import cpu_quota


@pytest.mark.parametrize("variable", ["RAPL_SENSEVOICE_RUNTIME", "SENSEVOICE_RUNTIME"])
@pytest.mark.parametrize(("value", "runtime"), [("openvino", "openvino"), ("onnx", "openvino"), ("funasr", "funasr")])
def test_the_runtime_onnx_is_the_old_name_of_openvino(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, runtime: str
):
    monkeypatch.delenv("RAPL_SENSEVOICE_RUNTIME", raising=False)
    monkeypatch.setenv(variable, value)
    settings = Settings()

    assert settings.runtime == runtime
    assert settings.graph_precision == ("int8" if runtime == "openvino" else None)


@pytest.mark.parametrize("runtime", ["openvino", "onnx"])
def test_a_gpu_needs_the_runtime_funasr(monkeypatch: pytest.MonkeyPatch, runtime: str):
    monkeypatch.setenv("RAPL_SENSEVOICE_DEVICE", "cuda:0")
    monkeypatch.setenv("RAPL_SENSEVOICE_RUNTIME", runtime)
    with pytest.raises(ValidationError, match="RAPL_SENSEVOICE_RUNTIME=funasr"):
        Settings()


def test_a_tilde_becomes_the_home_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAPL_SENSEVOICE_MODEL_DIR", raising=False)

    assert Settings().model_dir == tmp_path / ".cache/rapl/models"


@pytest.mark.parametrize("module", ["rapl_sensevoice", "rapl_sensevoice.prepare_model"])
@pytest.mark.parametrize(("variable", "value"), [("PORT", "eighty"), ("HUB", "github"), ("THREADS", "0")])
def test_a_bad_setting_ends_the_start_with_one_line_that_names_the_variable(module: str, variable: str, value: str):
    environ = {f"RAPL_SENSEVOICE_{variable}": value}
    ended = subprocess.run([sys.executable, "-m", module], env=environ, capture_output=True, text=True, timeout=120)

    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert line.startswith(f"RAPL_SENSEVOICE_{variable}")


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "100000 100000"}, 1),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
    ],
)
def test_a_containers_limit_is_not_exceeded(tmp_path: Path, files: dict[str, str], cores: int):
    (tmp_path / "cpu").mkdir()
    for name, content in files.items():
        (tmp_path / name).write_text(content + "\n")

    assert cpu_quota(tmp_path) == cores


@pytest.mark.parametrize(
    "files",
    [{}, {"cpu.max": "max 100000"}, {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}],
)
def test_without_a_limit_the_affinity_decides(tmp_path: Path, files: dict[str, str]):
    (tmp_path / "cpu").mkdir()
    for name, content in files.items():
        (tmp_path / name).write_text(content)

    assert cpu_quota(tmp_path) == cpu_quota(tmp_path / "nothing") >= 1
