"""The dependencies resolve for every supported platform."""

import os
import subprocess
import tomllib

import pytest
from house_rules import ROOT

PLATFORMS = ("x86_64-manylinux_2_28", "aarch64-manylinux_2_28", "aarch64-apple-darwin")
NEW_GLIBC_PLATFORMS = ("x86_64-manylinux_2_35", "aarch64-manylinux_2_35", "aarch64-apple-darwin")
"""MLX's Linux wheels and OpenVINO's for aarch64 need glibc 2.35; Debian 12 and the images have 2.36."""
FUNASR = ROOT / "sensevoice-service" / "requirements" / "funasr.txt"


def resolve(*arguments: str, platform: str) -> str:
    command = [os.environ.get("UV", "uv"), "pip", "compile", "--quiet", "--python-platform", platform]
    command += ["--python-version", "3.11", "--no-header", *arguments]
    environ = {**os.environ, "MACOSX_DEPLOYMENT_TARGET": "14.0"}  # MLX and torch have no wheels for older versions
    ended = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_funasr_runtime_resolves_without_torchaudio(platform):
    resolved = resolve(str(FUNASR), platform=platform)

    assert "torch==2.13.0" in resolved
    assert "torchaudio" not in resolved


@pytest.mark.parametrize("platform", PLATFORMS[:2])
def test_for_cuda_torch_and_torchaudio_resolve_together(platform):
    resolved = resolve(str(FUNASR), str(FUNASR.with_name("cuda.txt")), platform=platform)

    assert "torch==2.13.0" in resolved
    assert "torchaudio==2.11.1" in resolved


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("member", ["gateway", "preprocess-service", "cli", "bench"])
def test_every_service_resolves(platform, member):
    assert "pydantic" in resolve(f"{member}/pyproject.toml", platform=platform)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("requirements", sorted((ROOT / "bench" / "requirements").glob("*.txt")), ids=lambda f: f.stem)
def test_the_compared_programs_resolve(platform, requirements):
    assert "==" in resolve(str(requirements), platform=platform)


@pytest.mark.parametrize("platform", NEW_GLIBC_PLATFORMS)
def test_sensevoice_service_resolves(platform):
    assert "openvino==" in resolve("sensevoice-service/pyproject.toml", platform=platform)


@pytest.mark.parametrize("platform", NEW_GLIBC_PLATFORMS)
def test_the_mlx_engine_resolves(platform):
    resolved = resolve("mlx-service/pyproject.toml", "--extra", "engine", platform=platform)

    assert "mlx-audio==0.6.2" in resolved
    assert ("mlx-cpu" in resolved) == ("manylinux" in platform)


def test_the_lock_is_up_to_date_and_covers_the_three_platforms():
    ended = subprocess.run(
        [os.environ.get("UV", "uv"), "lock", "--check"], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    lock = tomllib.loads((ROOT / "uv.lock").read_text())

    assert ended.returncode == 0, ended.stderr
    assert len(lock["supported-markers"]) == len(PLATFORMS)


def test_the_lock_is_free_of_torch_and_cuda():
    names = {package["name"] for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}

    assert not {name for name in names if name.startswith(("torch", "nvidia", "triton"))}
