import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from doctor_command import Process, answers
from intercepting_proxy import InterceptingProxy
from services import free_port, until


@pytest.fixture
def url(fleet) -> str:
    return fleet.url


@pytest.fixture
def proxy(url) -> Iterator[InterceptingProxy]:
    with InterceptingProxy(url) as proxy, proxy.serving():
        yield proxy


@pytest.fixture
def folder(tmp_path, sample) -> Path:
    """A folder with two recordings and two other files."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "one.wav").write_bytes(sample)
    (tmp_path / "deep" / "TWO.WAV").write_bytes(sample)
    (tmp_path / "deep" / "notes.md").write_text("no audio")
    (tmp_path / "deep" / "._one.wav").write_text("macOS writes such a file beside one.wav on other file systems")
    return tmp_path


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment without Docker and without any service."""
    folder = tmp_path_factory.mktemp("alone")
    names = ("RAPL_PORT", "RAPL_PREPROCESS_PORT", "RAPL_SENSEVOICE_PORT", "RAPL_MLX_PORT")
    (folder / "bin").mkdir()
    (folder / "no-rapl.toml").touch()  # a file that is named must exist
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {
        **kept,
        **{name: str(free_port()) for name in names},
        "PATH": str(folder / "bin"),
        "RAPL_SENSEVOICE_MODEL_DIR": str(folder / "models"),
        "RAPL_DEFAULT_MODEL": "rapl/selftest",
    }


@pytest.fixture(scope="session")
def doctor_fleet(alone, tmp_path_factory: pytest.TempPathFactory, sensevoice_python: str) -> Iterator[dict[str, str]]:
    """The environment of running services; `doctor` finds them by it."""
    folder = tmp_path_factory.mktemp("doctor")
    urls = {
        "RAPL_PREPROCESS_URL": f"http://127.0.0.1:{alone['RAPL_PREPROCESS_PORT']}",
        "RAPL_SENSEVOICE_URL": f"http://127.0.0.1:{alone['RAPL_SENSEVOICE_PORT']}",
    }
    with (
        Process(sys.executable, "preprocess", folder, alone),
        Process(sensevoice_python, "sensevoice", folder, alone),
        Process(sys.executable, "gateway", folder, {**alone, **urls}) as gateway,
    ):
        until("the self-test model is ready", lambda: answers(f"{gateway.url}/health/ready"))
        yield {**alone, **urls}
