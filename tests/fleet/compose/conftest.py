"""One fleet in containers for all tests of this folder: it is built once."""

import os
from collections.abc import Iterator

import pytest
from containers import BASE_IMAGE, BUILD_LIMIT_S, PORT, compose, docker, state_of, up
from openai import OpenAI
from services import DIGITS_FOLDER, ServiceProcess, until

MLX_TOKEN = "beyond-loopback-it-wants-one"
QWEN = "mlx-community/Qwen3-ASR-1.7B-8bit"


@pytest.fixture(scope="session")
def bridge_address() -> str:
    """The host's address for containers on Linux."""
    program = "import socket; print(socket.gethostbyname('host.docker.internal'))"
    name = "--add-host=host.docker.internal:host-gateway"
    return docker("run", "--rm", name, BASE_IMAGE, "python3", "-c", program).strip()


@pytest.fixture(scope="session")
def mlx(mlx_python: str, bridge_address: str, tmp_path_factory: pytest.TempPathFactory) -> ServiceProcess:
    """The native MLX process on the host, with the tiny model under the real id; not started yet."""
    return ServiceProcess(
        mlx_python,
        "rapl_mlx",
        "RAPL_MLX_PORT",
        tmp_path_factory.mktemp("mlx") / "log",
        RAPL_MLX_HOST=bridge_address,
        RAPL_MLX_TOKEN=MLX_TOKEN,
        RAPL_MLX_MODELS=f"{QWEN}={DIGITS_FOLDER}",
    )


@pytest.fixture(scope="session")
def client(mlx: ServiceProcess) -> Iterator[OpenAI]:
    """A client of the fleet in containers."""
    os.environ |= {"RAPL_PORT": str(PORT), "RAPL_MLX_URL": f"http://host.docker.internal:{mlx.port}"}
    os.environ["RAPL_MLX_TOKEN"] = MLX_TOKEN
    try:
        up("--build", limit_s=BUILD_LIMIT_S)
        with OpenAI(base_url=f"http://127.0.0.1:{PORT}/v1", api_key="any", max_retries=0) as openai_client:
            until("the self-test model is ready", lambda: state_of(openai_client, "rapl/selftest") == "ready")
            yield openai_client
    finally:
        compose("down", "--volumes", "--timeout", "5")
