"""What the clients of /v1/realtime share: turns to speak, a gateway with TLS and a key, and their environments."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from client_programs import CLIENTS, run
from rapl_cli.checkout import STATE
from services import ServiceProcess, free_port
from spoken_turns import COMMITTING_NAMES, KEY, SPOKEN, at_24_khz, transcript, write_turns


@pytest.fixture(scope="session")
def speech(sample_pcm: bytes) -> bytes:
    """The sample at 24 kHz."""
    return at_24_khz(sample_pcm)


@pytest.fixture(scope="session")
def turns_24_khz(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_turns(tmp_path_factory.mktemp("turns"), 24_000, silence_s=1.0)


@pytest.fixture(scope="session")
def turns_16_khz(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """For clients that make 24 kHz of it themselves. Some look for the end of a turn while they send what follows: on a
    busy machine they need a longer silence."""
    return write_turns(tmp_path_factory.mktemp("turns"), 16_000, silence_s=1.5)


@pytest.fixture(scope="session")
def transcripts_of() -> Callable[[str], list[str]]:
    """The texts of the turns by a model."""
    return lambda model: [transcript(words, model) for words in SPOKEN]


@pytest.fixture
def transcripts(model: str, transcripts_of: Callable[[str], list[str]]) -> list[str]:
    return transcripts_of(model)


@dataclass(frozen=True)
class SecuredGateway:
    http: str
    https: str
    authority: Path
    """The certificate that clients have to trust."""
    page_port: int
    """A page at this port of 127.0.0.1 may call the gateway."""


@pytest.fixture(scope="session")
def secured(fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredGateway]:
    """A gateway for the fleet's services that requires KEY, and also serves HTTPS."""
    root = tmp_path_factory.mktemp("secured")
    environ = {**os.environ, "RAPL_ROOT": str(root)}
    subprocess.run([sys.executable, "-m", "rapl_cli", "cert"], env=environ, check=True, capture_output=True, timeout=60)
    aliases = [f'{name} = "{model}"' for model, name in COMMITTING_NAMES.items()]
    (root / "rapl.toml").write_text("\n".join(["[aliases]", *aliases]))
    tls, page_port, tls_port = root / ".rapl" / "tls", free_port(), free_port()
    settings = {
        "RAPL_ROOT": str(root),
        "RAPL_CONFIG": str(root / "rapl.toml"),
        "RAPL_API_KEYS": KEY,
        "RAPL_CORS_ORIGINS": f"http://127.0.0.1:{page_port}",
        "RAPL_TLS_CERT": str(tls / "server.pem"),
        "RAPL_TLS_KEY": str(tls / "server-key.pem"),
        "RAPL_TLS_PORT": str(tls_port),
        "RAPL_PREPROCESS_URL": fleet.preprocess.url,
        "RAPL_SENSEVOICE_URL": fleet.sensevoice.url,
        "RAPL_MLX_URL": fleet.mlx.url,
    }
    with ServiceProcess(sys.executable, "rapl_gateway", "RAPL_PORT", root / "log", **settings) as gateway:
        yield SecuredGateway(gateway.url, f"https://localhost:{tls_port}", tls / "authority.crt", page_port)


@pytest.fixture(scope="session")
def python_client() -> Callable[..., Any]:
    """Runs one of the Python clients in the environment of its group, and returns the JSON that it prints."""

    def run_client(group: str, script: str, *arguments: str | Path, python: str = sys.executable) -> Any:
        environ = {"UV_PROJECT_ENVIRONMENT": str(STATE / f"clients-{group}"), "PYTHONPATH": "", "VIRTUAL_ENV": ""}
        uv = [os.environ.get("UV", "uv"), "run", "--quiet", "--frozen", "--only-group", group, "--python", python]
        return json.loads(
            run([*uv, "--project", CLIENTS / "python", CLIENTS / "python" / script, *arguments], **environ)
        )

    return run_client
