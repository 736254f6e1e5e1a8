"""The whole fleet, with real engines and the models that ship with the project."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from openai import OpenAI
from rapl_protocol.audio import WavAudio
from services import ServiceProcess, until

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "samples" / "three-one-four.wav"
SELFTEST = "rapl/selftest"
DIGITS = "mlx-community/digits-Qwen3-ASR-8bit"


@dataclass(frozen=True)
class Fleet:
    gateway: ServiceProcess
    preprocess: ServiceProcess
    sensevoice: ServiceProcess
    mlx: ServiceProcess

    def models(self) -> dict[str, dict]:
        return {model["id"]: model for model in httpx.get(f"{self.gateway.url}/v1/models").json()["data"]}

    def wait_for(self, model: str, state: str = "ready") -> None:
        until(f"{model} is {state}", lambda: self.models().get(model, {}).get("state") == state)

    def transcribe(self, file: bytes, model: str, **fields: str) -> httpx.Response:
        return httpx.post(
            f"{self.gateway.url}/v1/audio/transcriptions",
            data={"model": model, **fields},
            files={"file": ("speech", file)},
            timeout=120,
        )


def interpreter(variable: str) -> str:
    python = os.environ.get(variable)
    assert python, f"{variable} is not set: run the tests with `./rapl test`, which makes the engines' environments"
    return python


@pytest.fixture(scope="session")
def sensevoice_python() -> str:
    return interpreter("RAPL_SENSEVOICE_PYTHON")


@pytest.fixture(scope="session")
def mlx_python() -> str:
    return interpreter("RAPL_MLX_PYTHON")


@pytest.fixture(scope="session")
def sample() -> bytes:
    """The sample that ships with the project, a canonical WAV file."""
    return SAMPLE.read_bytes()


@pytest.fixture(scope="session")
def sample_pcm(sample: bytes) -> bytes:
    """Its samples, 16 kHz mono s16le."""
    return bytes(WavAudio.from_wav(sample).pcm)


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory, sensevoice_python: str, mlx_python: str) -> Iterator[Fleet]:
    """Every service, without the real SenseVoiceSmall, and with a tiny model on MLX."""
    logs = tmp_path_factory.mktemp("logs")
    preprocess = ServiceProcess(sys.executable, "rapl_preprocess", "RAPL_PREPROCESS_PORT", logs / "preprocess")
    sensevoice = ServiceProcess(
        sensevoice_python,
        "rapl_sensevoice",
        "RAPL_SENSEVOICE_PORT",
        logs / "sensevoice",
        RAPL_SENSEVOICE_MODEL_DIR=str(tmp_path_factory.mktemp("models")),
    )
    mlx = ServiceProcess(
        mlx_python,
        "rapl_mlx",
        "RAPL_MLX_PORT",
        logs / "mlx",
        RAPL_MLX_MODELS=f"{DIGITS}={ROOT / 'tests' / 'models' / 'digits-Qwen3-ASR-8bit'}",
    )
    gateway = ServiceProcess(
        sys.executable,
        "rapl_gateway",
        "RAPL_PORT",
        logs / "gateway",
        RAPL_PREPROCESS_URL=preprocess.url,
        RAPL_SENSEVOICE_URL=sensevoice.url,
        RAPL_MLX_URL=mlx.url,
        RAPL_CONFIG=str(logs / "no-rapl.toml"),
    )
    with ExitStack() as stack:
        for service in (preprocess, sensevoice, mlx, gateway):
            stack.enter_context(service)
        fleet = Fleet(gateway, preprocess, sensevoice, mlx)
        for model in (SELFTEST, DIGITS):
            fleet.wait_for(model)
        yield fleet


@pytest.fixture
def client(fleet: Fleet) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{fleet.gateway.url}/v1", api_key="any", max_retries=0) as client:
        yield client
