"""Fixtures: the real service, the real mlx-audio, and a model of 1 MB that transcribes digits."""

import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from rapl_protocol.audio import WavAudio
from rapl_service.calls.call import Service, open_http
from rapl_service.calls.clients import TranscriberClient

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "tests" / "models" / "digits-Qwen3-ASR-8bit"
SAMPLE = ROOT / "samples" / "three-one-four.wav"

sys.path.append(str(Path(__file__).parent))
sys.path.append(str(ROOT / "tests"))  # for local_hub, which the tests of several services share

from mlx_service_process import RunningService, StartService, run_service  # noqa: E402


@pytest.fixture(scope="session")
def mlx_python() -> str:
    """The path of a Python with mlx-audio and this package."""
    python = os.environ.get("RAPL_MLX_PYTHON")
    if not python:
        pytest.fail("set RAPL_MLX_PYTHON to a Python with mlx-audio and rapl-mlx; see mlx-service/README.md")
    return python


@pytest.fixture(scope="session")
def start_service(mlx_python: str, tmp_path_factory: pytest.TempPathFactory) -> StartService:
    """Runs mlx-service with the given settings, named without RAPL_MLX_."""

    def start(environ: dict[str, str] | None = None, **settings: object):
        return run_service(mlx_python, tmp_path_factory.mktemp("service"), environ or {}, **settings)

    return start


@pytest.fixture(scope="session")
def digits() -> Path:
    """The folder of the model that transcribes digits."""
    assert (DIGITS / "config.json").is_file(), f"{DIGITS} is missing"
    return DIGITS


@pytest.fixture
def digits_copy(digits: Path, tmp_path: Path) -> Path:
    """A copy of the model that a test may damage."""
    return Path(shutil.copytree(digits, tmp_path / digits.name))


@pytest.fixture(scope="session")
def speech() -> WavAudio:
    """The spoken words "three one four one five nine"."""
    return WavAudio.from_wav(SAMPLE.read_bytes())


@pytest.fixture(scope="session")
def long_speech(speech: WavAudio) -> WavAudio:
    """The same words repeated for almost 29 s, for a request that takes seconds."""
    return WavAudio(bytes(speech.pcm) * int(29 / speech.duration_s))


@pytest.fixture
async def client_of() -> AsyncIterator[Callable[[RunningService], TranscriberClient]]:
    async with open_http() as http:
        yield lambda service: TranscriberClient(http, Service("mlx-service", service.url, "Look at its log."))
