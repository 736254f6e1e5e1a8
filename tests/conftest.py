"""Fixtures for the whole fleet, with real engines and the models that ship with the project."""

import os
from collections.abc import Iterator

import pytest
from openai import OpenAI
from rapl_protocol.audio import WavAudio
from services import SAMPLE, Fleet, running_fleet


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
    """The sample that ships with the project: a canonical WAV file."""
    return SAMPLE.read_bytes()


@pytest.fixture(scope="session")
def sample_pcm(sample: bytes) -> bytes:
    """The sample's audio: 16 kHz mono s16le."""
    return bytes(WavAudio.from_wav(sample).pcm)


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory, sensevoice_python: str, mlx_python: str) -> Iterator[Fleet]:
    """Every service, with the self-test model and a tiny model on MLX."""
    with running_fleet(tmp_path_factory.mktemp("fleet"), sensevoice_python, mlx_python) as fleet:
        yield fleet


@pytest.fixture
def client(fleet: Fleet) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{fleet.url}/v1", api_key="any", max_retries=0) as client:
        yield client
