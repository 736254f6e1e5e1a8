"""Fixtures of the command-line program's tests."""

import os

import pytest


@pytest.fixture(scope="session")
def mlx_python() -> str:
    """A Python that has mlx-audio and rapl-mlx."""
    python = os.environ.get("RAPL_MLX_PYTHON")
    if not python:
        pytest.fail("set RAPL_MLX_PYTHON to a Python with mlx-audio and rapl-mlx; mlx-service/README.md says how")
    return python
