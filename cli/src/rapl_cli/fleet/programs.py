"""The services as programs: the command of each, and the environment variables that connect them."""

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from rapl_cli.fleet import environments

DEFAULT_PORTS = {"RAPL_PORT": 8000, "RAPL_PREPROCESS_PORT": 8010, "RAPL_SENSEVOICE_PORT": 8020, "RAPL_MLX_PORT": 8030}


@dataclass(frozen=True)
class Ports:
    """The ports on which the services listen, on 127.0.0.1."""

    gateway: int
    preprocess: int
    sensevoice: int
    mlx: int

    @classmethod
    def from_environment(cls) -> "Ports":
        return cls(*(int(os.environ.get(name) or default) for name, default in DEFAULT_PORTS.items()))

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self.gateway}"


@dataclass(frozen=True)
class Program:
    name: str
    python: Path
    arguments: tuple[str, ...]
    environ: dict[str, str] = field(default_factory=dict)
    once: bool = False
    """The program ends after its work; the supervisor restarts it only if it fails."""

    @property
    def command(self) -> list[str]:
        return [str(self.python), *self.arguments]


def gateway(ports: Ports) -> Program:
    return Program(
        "gateway",
        Path(sys.executable),
        ("-m", "rapl_gateway"),
        {
            "RAPL_PORT": str(ports.gateway),
            "RAPL_PREPROCESS_URL": f"http://127.0.0.1:{ports.preprocess}",
            "RAPL_SENSEVOICE_URL": f"http://127.0.0.1:{ports.sensevoice}",
            "RAPL_MLX_URL": f"http://127.0.0.1:{ports.mlx}",
        },
    )


def preprocess(ports: Ports) -> Program:
    environ = {"RAPL_PREPROCESS_PORT": str(ports.preprocess)}
    return Program("preprocess", Path(sys.executable), ("-m", "rapl_preprocess"), environ)


def sensevoice(ports: Ports) -> Program:
    environ = {"RAPL_SENSEVOICE_PORT": str(ports.sensevoice)}
    runtime = os.environ.get("RAPL_SENSEVOICE_RUNTIME") or os.environ.get("SENSEVOICE_RUNTIME")
    environment = environments.FUNASR if runtime == "funasr" else environments.SENSEVOICE
    return Program("sensevoice", environment.ensure(), ("-m", "rapl_sensevoice"), environ)


def prepare_model() -> Program:
    arguments = ("-m", "rapl_sensevoice.prepare_model", "--keep-trying")
    return Program("prepare-model", environments.FUNASR.ensure(), arguments, once=True)


def mlx(ports: Ports) -> Program:
    environ = {"RAPL_MLX_PORT": str(ports.mlx)}
    model = os.environ.get("LOCAL_MODEL")
    if os.environ.get("BACKEND") == "mlx" and model and not os.environ.get("RAPL_MLX_MODELS"):
        environ["RAPL_MLX_MODELS"] = model  # these variables choose the model in the original server
    return Program("mlx", environments.MLX.ensure(), ("-m", "rapl_mlx"), environ)
