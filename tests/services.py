"""The real services as processes, each in its own Python environment, and the whole fleet of them."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import httpx

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "samples" / "three-one-four.wav"
SELFTEST = "rapl/selftest"
DIGITS = "mlx-community/digits-Qwen3-ASR-8bit"
DIGITS_FOLDER = ROOT / "tests" / "models" / "digits-Qwen3-ASR-8bit"
SAMPLE_TEXTS = {SELFTEST: "3 1 4 1 5 9.", DIGITS: "three one four one five nine"}
"""The sample's transcript by model."""
START_LIMIT_S = 120.0
STOP_LIMIT_S = 40.0

T = TypeVar("T")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until(what: str, condition: Callable[[], bool], limit_s: float = START_LIMIT_S) -> None:
    """Waits until `condition()` is true."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"after {limit_s:g} s still waiting until {what}"
        time.sleep(0.05)


class ServiceProcess:
    """`python -m MODULE` on a free port. The context starts it and waits until it is live; it can be restarted."""

    def __init__(self, python: str, module: str, port_variable: str, log: Path, **environ: str) -> None:
        self.port = free_port()
        host = next((value for name, value in environ.items() if name.endswith("_HOST")), "127.0.0.1")
        self.url = f"http://{host}:{self.port}"
        self.log = log
        self._command = [python, "-m", module]
        self._environ = {**os.environ, port_variable: str(self.port), **environ}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def environ(self) -> dict[str, str]:
        return self._environ

    def start(self, **environ: str) -> Self:
        """`environ` changes the environment of this start and of later ones."""
        self._environ |= environ
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env=self._environ, stdout=log, stderr=log)
        until(f"{self._command} is live; its log is {self.log}", self._is_live)
        return self

    def stop(self) -> int:
        """Sends SIGTERM, and returns the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_LIMIT_S)
        finally:
            self._process.kill()
            self._process = None

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """Sends SIGKILL, and waits until the process has ended."""
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(STOP_LIMIT_S)
        self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process:
            self.stop()

    def _is_live(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"it exited: {self.log.read_text()[-3000:]}"
        try:
            with urllib.request.urlopen(f"{self.url}/health/live", timeout=1) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False


@dataclass(frozen=True)
class Fleet:
    """Every service as a process."""

    gateway: ServiceProcess
    preprocess: ServiceProcess
    sensevoice: ServiceProcess
    mlx: ServiceProcess
    speakers: ServiceProcess | None = None

    @property
    def services(self) -> dict[str, ServiceProcess]:
        names = ("preprocess", "sensevoice", "mlx", "speakers", "gateway")
        return {name: service for name in names if (service := getattr(self, name))}

    @property
    def url(self) -> str:
        return self.gateway.url

    def models(self) -> dict[str, dict]:
        return {model["id"]: model for model in httpx.get(f"{self.url}/v1/models").json()["data"]}

    def speakers_state(self) -> str:
        """The state of speaker-service's model."""
        return httpx.get(f"{self.url}/v1/models/rapl/speakers").json()["state"]

    def wait_for(self, model: str, state: str = "ready") -> None:
        until(f"{model} is {state}", lambda: self.models().get(model, {}).get("state") == state)

    def transcribe(self, file: bytes, model: str, request_id: str | None = None, **fields: str) -> httpx.Response:
        return httpx.post(
            f"{self.url}/v1/audio/transcriptions",
            data={"model": model, **fields},
            files={"file": ("speech", file)},
            headers={"x-request-id": request_id} if request_id else {},
            timeout=120,
        )


@contextmanager
def running_fleet(
    folder: Path, sensevoice_python: str, mlx_python: str, *, with_speakers: bool = False
) -> Iterator[Fleet]:
    """Starts every service, with the self-test model and a tiny model on MLX, and waits until both are ready.

    Args:
        folder: for the logs.
        sensevoice_python: a Python with rapl-sensevoice.
        mlx_python: a Python with rapl-mlx and mlx-audio.
        with_speakers: also starts speaker-service, with small random networks.
    """
    preprocess = ServiceProcess(sys.executable, "rapl_preprocess", "RAPL_PREPROCESS_PORT", folder / "preprocess")
    no_models = {"RAPL_SENSEVOICE_MODEL_DIR": str(folder / "models")}
    sensevoice = ServiceProcess(
        sensevoice_python, "rapl_sensevoice", "RAPL_SENSEVOICE_PORT", folder / "sensevoice", **no_models
    )
    digits = {"RAPL_MLX_MODELS": f"{DIGITS}={DIGITS_FOLDER}"}
    mlx = ServiceProcess(mlx_python, "rapl_mlx", "RAPL_MLX_PORT", folder / "mlx", **digits)
    urls = {
        "RAPL_PREPROCESS_URL": preprocess.url,
        "RAPL_SENSEVOICE_URL": sensevoice.url,
        "RAPL_MLX_URL": mlx.url,
        "RAPL_ROOT": str(folder),
    }
    speakers = random_speakers(folder) if with_speakers else None
    if speakers:
        urls["RAPL_SPEAKERS_URL"] = speakers.url
    gateway = ServiceProcess(sys.executable, "rapl_gateway", "RAPL_PORT", folder / "gateway", **urls)
    fleet = Fleet(gateway, preprocess, sensevoice, mlx, speakers)
    with ExitStack() as stack:
        for service in fleet.services.values():
            stack.enter_context(service)
        for model in (SELFTEST, DIGITS):
            fleet.wait_for(model)
        if speakers:
            until("the speakers' model is ready", lambda: fleet.speakers_state() == "ready")
        yield fleet


def random_speakers(folder: Path) -> ServiceProcess:
    """The real speaker-service, with small random networks (`random_speakers.py`)."""
    paths = os.pathsep.join([str(ROOT / "tests"), str(ROOT / "speaker-service" / "tests")])
    environ = {"PYTHONPATH": paths, "RAPL_SPEAKERS_MODEL_DIR": str(folder / "speakers-models")}
    return ServiceProcess(sys.executable, "random_speakers", "RAPL_SPEAKERS_PORT", folder / "speakers", **environ)


def under_load(gateway_url: str, send: Callable[[str], T], requests: int, strike: Callable[[], object]) -> list[T]:
    """Sends requests at once, calls `strike` when the gateway has accepted all of them, and returns their results.

    `send` gets the request's `x-request-id`.
    """

    def is_running(request_id: str) -> bool:
        return httpx.get(f"{gateway_url}/v1/progress/{request_id}").status_code == 200

    with ThreadPoolExecutor(requests) as pool:
        sent = {name: pool.submit(send, name) for name in (f"load-{uuid.uuid4().hex}" for _ in range(requests))}
        until(
            "the gateway has accepted all requests",
            lambda: all(result.done() or is_running(name) for name, result in sent.items()),
        )
        strike()
        return [result.result() for result in sent.values()]
