"""The services as programs: the command of each, and the environment variables that connect them."""

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rapl_cli.fleet import environments
from rapl_cli.fleet.ports import Ports
from rapl_cli.fleet.service_urls import ServiceUrls


@dataclass(frozen=True)
class Program:
    name: str
    python: Path
    arguments: tuple[str, ...]
    """The module to run, and its arguments."""
    environ: dict[str, str] = field(default_factory=dict)
    port_variable: str | None = None
    """The variable in `environ` with the port that it listens on; None if it does not listen."""
    once: bool = False
    """The program ends after its work; the supervisor restarts it only if it fails."""

    @property
    def command(self) -> list[str]:
        return [str(self.python), "-m", "rapl_service.supervised", *self.arguments]


def gateway(ports: Ports, services: Iterable[ServiceUrls]) -> Program:
    urls = {each.variable: each.value for each in services}
    environ = {"RAPL_PORT": str(ports.gateway), **urls}
    return Program("gateway", Path(sys.executable), ("rapl_gateway",), environ, "RAPL_PORT")


def preprocess(ports: Ports) -> Program:
    environ = {"RAPL_PREPROCESS_PORT": str(ports.preprocess)}
    return Program("preprocess", Path(sys.executable), ("rapl_preprocess",), environ, "RAPL_PREPROCESS_PORT")


def sensevoice(port: int, number: int = 1) -> Program:
    """`number`: 1, or that of a further replica."""
    environ = {"RAPL_SENSEVOICE_PORT": str(port)}
    runtime = os.environ.get("RAPL_SENSEVOICE_RUNTIME") or os.environ.get("SENSEVOICE_RUNTIME")
    environment = environments.FUNASR if runtime == "funasr" else environments.SENSEVOICE
    name = "sensevoice" if number == 1 else f"sensevoice-{number}"
    return Program(name, environment.ensure(), ("rapl_sensevoice",), environ, "RAPL_SENSEVOICE_PORT")


def prepare_model() -> Program:
    arguments = ("rapl_sensevoice.prepare_model", "--keep-trying")
    return Program("prepare-model", environments.FUNASR.ensure(), arguments, once=True)


def speakers(ports: Ports) -> Program:
    environ = {"RAPL_SPEAKERS_PORT": str(ports.speakers)}
    return Program("speakers", environments.SPEAKERS.ensure(), ("rapl_speakers",), environ, "RAPL_SPEAKERS_PORT")


def prepare_speakers() -> Program:
    arguments = ("rapl_speakers.prepare_model", "--keep-trying")
    return Program("prepare-speakers", environments.SPEAKERS.ensure(), arguments, once=True)


def mlx(ports: Ports) -> Program:
    environ = {"RAPL_MLX_PORT": str(ports.mlx)}
    model = os.environ.get("LOCAL_MODEL")
    if os.environ.get("BACKEND") == "mlx" and model and not os.environ.get("RAPL_MLX_MODELS"):
        environ["RAPL_MLX_MODELS"] = model  # these variables choose the model in the original server
    return Program("mlx", environments.MLX.ensure(), ("rapl_mlx",), environ, "RAPL_MLX_PORT")
