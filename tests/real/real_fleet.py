"""The services with Whisper's published weights, as processes."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rapl_bench.real.models import RealModel
from rapl_bench.real.packages import RealPackages
from rapl_bench.real.recordings import RealRecording
from services import ROOT, ServiceProcess, until

CACHE = ROOT / ".rapl" / "bench-cache" / "real"
REPLICAS = 2
"""Processes of mlx-service: each computes one segment of a model at a time, on one core."""
LIMIT_S = 400.0
SLOW = {"RAPL_DEADLINE_BASE_S": str(LIMIT_S), "RAPL_MLX_DEADLINE_BASE_S": str(LIMIT_S)}
"""A CPU that also has other work may take minutes for a segment whose text Whisper tries at six temperatures."""


@dataclass(frozen=True)
class RealFleet:
    """gateway, preprocess-service and mlx-service with TINY_EN and BASE."""

    gateway: ServiceProcess

    @property
    def url(self) -> str:
        return self.gateway.url

    def transcribe(self, file: bytes, model: str, **fields: str) -> dict[str, Any]:
        """The answer in the format verbose_json."""
        answer = httpx.post(
            f"{self.url}/v1/audio/transcriptions",
            data={"model": model, "response_format": "verbose_json", **fields},
            files={"file": ("speech", file)},
            timeout=LIMIT_S,
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def transcribe_all(self, recordings: Iterable[RealRecording], model: str) -> list[dict[str, Any]]:
        """The answers in the order of the recordings; as many are computed at once as there are replicas."""
        with ThreadPoolExecutor(REPLICAS) as pool:
            return list(pool.map(lambda recording: self.transcribe(recording.file.read_bytes(), model), recordings))


@contextmanager
def running_engines(
    folder: Path, mlx_python: str, packages: RealPackages, models: Mapping[str, RealModel]
) -> Iterator[Sequence[str]]:
    """Processes of mlx-service with the models loaded. Yields their URLs."""
    served = ",".join(f"{model.id}={model.mlx}" for model in models.values())
    settings = {"RAPL_MLX_MODELS": served, "RAPL_MLX_PRELOAD": ",".join(models), **SLOW, **packages.mlx_environ()}
    engines = [
        ServiceProcess(mlx_python, "rapl_mlx", "RAPL_MLX_PORT", folder / f"mlx-{number}", **settings)
        for number in range(REPLICAS)
    ]
    with ExitStack() as stack:
        for engine in engines:
            stack.enter_context(engine)
        for engine in engines:
            until("both models are ready", lambda engine=engine: _ready(engine.url) == {*models}, LIMIT_S)
        yield [engine.url for engine in engines]


@contextmanager
def running_gateway(
    folder: Path, engines: Sequence[str], models: Mapping[str, RealModel], **settings: str
) -> Iterator[RealFleet]:
    """The gateway, with more settings, and preprocess-service, in front of engines with these models."""
    preprocess = ServiceProcess(sys.executable, "rapl_preprocess", "RAPL_PREPROCESS_PORT", folder / "preprocess")
    urls = {
        "RAPL_PREPROCESS_URL": preprocess.url,
        "RAPL_MLX_URL": ",".join(engines),
        "RAPL_ROOT": str(folder),
    }
    gateway = ServiceProcess(
        sys.executable, "rapl_gateway", "RAPL_PORT", folder / "gateway", **urls, **SLOW, **settings
    )
    with preprocess, gateway:
        until("the gateway knows both models", lambda: {*models} <= _offered(gateway.url), LIMIT_S)
        yield RealFleet(gateway)


def _ready(engine_url: str) -> set[str]:
    listed = httpx.get(f"{engine_url}/v1/models").json()["models"]
    return {model["id"] for model in listed if model["state"] == "ready"}


def _offered(gateway_url: str) -> set[str]:
    listed = httpx.get(f"{gateway_url}/v1/models").json()["data"]
    return {model["id"] for model in listed if model.get("state") == "ready"}
