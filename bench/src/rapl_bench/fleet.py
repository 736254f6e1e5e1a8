"""Starts RAPL's services and the stub engine as processes."""

import os
import sys
import time
import urllib.request
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from rapl_bench.processes import ServerProcess, free_port, until
from rapl_bench.stub_engine import MODEL as STUB_MODEL
from rapl_bench.stub_engine import PARALLEL

SELFTEST = "rapl/selftest"
SENSEVOICE_PYTHON = "RAPL_BENCH_SENSEVOICE_PYTHON"
MLX_PYTHON = "RAPL_BENCH_MLX_PYTHON"


class Fleet:
    """Starts services one at a time, and stops all of them when the context ends."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def start(self, server: ServerProcess) -> ServerProcess:
        return self._stack.enter_context(server)

    def log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def stub(self, parallel: int = PARALLEL, addresses: int = 1) -> ServerProcess:
        port = free_port()
        command = [sys.executable, "-m", "rapl_bench.stub_engine", str(port), str(parallel), str(addresses)]
        return self.start(ServerProcess(command, port, self.log("stub")))

    def paced(self, pace: float) -> ServerProcess:
        """Starts an engine that takes `pace` seconds for one second of audio."""
        port = free_port()
        command = [sys.executable, "-m", "rapl_bench.scaling.paced_engine", str(port), str(pace)]
        return self.start(ServerProcess(command, port, self.log("paced")))

    def preprocess(self, **environ: str) -> ServerProcess:
        port = free_port()
        environ = {"RAPL_PREPROCESS_PORT": str(port), **environ}
        return self.start(
            ServerProcess([sys.executable, "-m", "rapl_preprocess"], port, self.log("preprocess"), environ)
        )

    def sensevoice(self, models: Path | None = None, model: str = SELFTEST) -> ServerProcess:
        """Starts sensevoice-service and waits until `model` is ready.

        Without `models` it has only the self-test model.
        """
        port, models = free_port(), models or self._logs / "no-models"
        models.mkdir(exist_ok=True)
        command = [os.environ[SENSEVOICE_PYTHON], "-m", "rapl_sensevoice"]
        environ = {"RAPL_SENSEVOICE_PORT": str(port), "RAPL_SENSEVOICE_MODEL_DIR": str(models)}
        server = self.start(ServerProcess(command, port, self.log("sensevoice"), environ))
        until(f"{model} is ready", lambda: _is_ready(server.url, model))
        return server

    def mlx(self, models: Mapping[str, Path], **environ: str) -> ServerProcess:
        """Starts mlx-service and waits until all `models`, folders by model id, are ready."""
        port = free_port()
        served = {
            "RAPL_MLX_PORT": str(port),
            "RAPL_MLX_MODELS": ",".join(f"{model}={folder}" for model, folder in models.items()),
            "RAPL_MLX_PRELOAD": ",".join(models),
        }
        command = [os.environ[MLX_PYTHON], "-m", "rapl_mlx"]
        server = self.start(ServerProcess(command, port, self.log("mlx"), {**served, **environ}))
        for model in models:
            until(f"{model} is ready", lambda model=model: _is_ready(server.url, model))
        return server

    def gateway(
        self,
        engine: ServerProcess | Sequence[ServerProcess],
        preprocess: ServerProcess,
        *,
        engine_url: str = "RAPL_SENSEVOICE_URL",
        models: Collection[str] = (STUB_MODEL, SELFTEST),
        **environ: str,
    ) -> ServerProcess:
        """Starts a gateway in front of `engine`, or of several replicas, and waits until it lists one of `models` as
        ready.

        `engine_url` is the setting for the engine's URL.
        """
        port = free_port()
        engines = [engine] if isinstance(engine, ServerProcess) else engine
        environ = {
            "RAPL_PORT": str(port),
            "RAPL_PREPROCESS_URL": preprocess.url,
            engine_url: ",".join(each.url for each in engines),
            "RAPL_ROOT": str(self._logs),
            **environ,
        }
        server = self.start(ServerProcess([sys.executable, "-m", "rapl_gateway"], port, self.log("gateway"), environ))
        until("the gateway lists the engine's models", lambda: _offers_a_ready_model(server.url, models))
        return server


def set_engine_ms(stub: ServerProcess, takes_ms: float) -> None:
    """Sets how long each answer of the stub takes."""
    body = str(takes_ms).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{stub.url}/stub/engine-ms", body, method="PUT")) as answer:
        answer.read()


def transcribed(url: str, media: bytes, model: str, file_name: str = "speech.wav") -> tuple[str, float]:
    """Transcribes a file. Returns the text, and the time in seconds."""
    began = time.perf_counter()
    answer = httpx.post(
        f"{url}/v1/audio/transcriptions", data={"model": model}, files={"file": (file_name, media)}, timeout=None
    )
    answer.raise_for_status()
    return answer.json()["text"], time.perf_counter() - began


def _is_ready(engine_url: str, model: str) -> bool:
    models = httpx.get(f"{engine_url}/v1/models").json()["models"]
    return any(info["id"] == model and info["state"] == "ready" for info in models)


def _offers_a_ready_model(gateway_url: str, models: Collection[str]) -> bool:
    listed = httpx.get(f"{gateway_url}/v1/models").json()["data"]
    return any(model["id"] in models and model.get("state") == "ready" for model in listed)
