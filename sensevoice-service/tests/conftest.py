import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rapl_protocol.audio import WavAudio
from rapl_protocol.models import ModelInfo
from rapl_protocol.transcript import TranscribeOptions, Transcript
from rapl_sensevoice.transcriber import SELFTEST_FOLDER
from rapl_sensevoice.weights.on_disk import REPO
from rapl_service.calls.call import Service, open_http
from rapl_service.calls.clients import TranscriberClient

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 180.0
"""Importing FunASR takes 5 s on idle cores, and many times longer on a busy machine."""


def environ_with(**changes: str) -> dict[str, str]:
    """This process's environment without settings of RAPL or of a hub, plus `changes`."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("RAPL_", "HF_", "MODELSCOPE_"))}
    return inherited | changes


def wait_for(condition: Callable[[], Any], what: str, timeout_s: float = TIMEOUT_S) -> Any:
    """Polls until the condition returns something true, and returns that."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if result := condition():
            return result
        time.sleep(0.02)
    pytest.fail(f"waited {timeout_s:g} s for {what}")


@pytest.fixture(scope="session")
def engine_python() -> str:
    """The interpreter in which FunASR is installed."""
    python = os.environ.get("RAPL_SENSEVOICE_PYTHON")
    if not python:
        pytest.fail(
            "RAPL_SENSEVOICE_PYTHON is not set: name an interpreter with sensevoice-service and "
            "sensevoice-service/requirements/funasr.txt installed"
        )
    return python


@dataclass
class Engine:
    """The real service in its own process."""

    process: subprocess.Popen[bytes]
    url: str
    model_dir: Path
    log_path: Path

    def get(self, path: str) -> Any:
        """The service's JSON answer; None if it does not answer with 200."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=60) as answer:
                return json.loads(answer.read())
        except OSError:
            return None

    def post(self, path: str) -> Any:
        with urllib.request.urlopen(urllib.request.Request(self.url + path, method="POST"), timeout=60) as answer:
            return json.loads(answer.read())

    def info(self, model_id: str) -> ModelInfo | None:
        answer = self.get("/v1/models") or {"models": []}
        return next((ModelInfo.model_validate(m) for m in answer["models"] if m["id"] == model_id), None)

    def wait_for_state(self, model_id: str, state: str) -> ModelInfo:
        def reached() -> ModelInfo | None:
            assert self.process.poll() is None, self.log_path.read_text()
            info = self.info(model_id)
            assert info is None or info.state != "failed" or state == "failed", info
            return info if info and info.state == state else None

        return wait_for(reached, f"{model_id} to be {state}")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    async def transcribe(self, audio: WavAudio, model: str = "rapl/selftest", **options: Any) -> Transcript:
        async with open_http() as http:
            client = TranscriberClient(http, Service("sensevoice-service", self.url, "Look at its log."))
            return await client.transcribe(audio, TranscribeOptions(model=model, **options), deadline_s=TIMEOUT_S)


@pytest.fixture(scope="session")
def start_engine(engine_python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Engine]]:
    """Starts services and stops all of them at the end."""
    engines: list[Engine] = []

    def start() -> Engine:
        folder = tmp_path_factory.mktemp("engine")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        settings = {
            "RAPL_SENSEVOICE_PORT": str(port),
            "RAPL_SENSEVOICE_MODEL_DIR": str(folder / "models"),
            "RAPL_SENSEVOICE_THREADS": "1",
        }
        log_path = folder / "log"
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                [engine_python, "-m", "rapl_sensevoice"], env=environ_with(**settings), stdout=log, stderr=log
            )
        engine = Engine(process, f"http://127.0.0.1:{port}", folder / "models", log_path)
        engines.append(engine)
        wait_for(lambda: process.poll() is not None or engine.get("/health/live"), "the service to answer")
        assert process.poll() is None, log_path.read_text()
        return engine

    yield start
    for engine in engines:
        engine.stop()


@pytest.fixture(scope="session")
def engine(start_engine: Callable[[], Engine]) -> Engine:
    """A service whose self-test model is ready and whose real model was never downloaded."""
    engine = start_engine()
    engine.wait_for_state("rapl/selftest", "ready")
    return engine


@pytest.fixture(scope="session")
def digits() -> WavAudio:
    """A synthetic voice that says "three one four one five nine"."""
    return WavAudio.from_wav((ROOT / "samples" / "three-one-four.wav").read_bytes())


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub's repository: the self-test model's files, and others that prepare-model must not download."""
    folder = tmp_path_factory.mktemp("repository")
    for path in SELFTEST_FOLDER.iterdir():
        if path.is_file():
            shutil.copy(path, folder / path.name)
    (folder / "model.py").write_text("raise SystemExit('code of a repository was run')")
    (folder / "example").mkdir()
    (folder / "example" / "config.yaml").write_text("of another model")
    return folder


@pytest.fixture(scope="session")
def local_hub_class() -> Any:
    sys.path.insert(0, str(ROOT / "tests"))
    try:
        from local_hub import LocalHub
    finally:
        sys.path.remove(str(ROOT / "tests"))
    return LocalHub


@pytest.fixture
def hub(local_hub_class: Any, repository: Path) -> Iterator[Any]:
    with local_hub_class() as hub:
        hub.add("iic/SenseVoiceSmall", repository)
        hub.add("FunAudioLLM/SenseVoiceSmall", repository)
        yield hub


@dataclass
class Preparation:
    """Runs of `prepare-model` against one hub, into one folder; without the conversion, unless a test asks for it."""

    python: str
    hub: Any
    model_dir: Path

    @property
    def folder(self) -> Path:
        return self.model_dir / REPO

    def start(self, *arguments: str, **settings: str) -> subprocess.Popen[str]:
        environ = environ_with(HF_HOME=str(self.model_dir / "home"), **self.hub.environ) | {
            "RAPL_SENSEVOICE_MODEL_DIR": str(self.model_dir),
            "RAPL_SENSEVOICE_RUNTIME": "funasr",
            **settings,
        }
        command = [self.python, "-m", "rapl_sensevoice.prepare_model", *arguments]
        return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, *arguments: str, **settings: str) -> tuple[int, str]:
        """Gives the exit code, and what was written."""
        process = self.start(*arguments, **settings)
        output, _ = process.communicate(timeout=TIMEOUT_S)
        return process.returncode, output

    def state(self) -> dict[str, Any]:
        """The state file's content; empty where there is none."""
        try:
            return json.loads((self.folder / "prepare-model.json").read_text())
        except FileNotFoundError:
            return {}


@pytest.fixture
def preparation(engine_python: str, hub: Any, tmp_path: Path) -> Preparation:
    return Preparation(engine_python, hub, tmp_path / "models")


@pytest.fixture
def soon() -> Callable[[Callable[[], Any]], Coroutine[Any, Any, None]]:
    """Waits in an async test until a condition is true."""

    async def wait(condition: Callable[[], Any]) -> None:
        until = time.monotonic() + TIMEOUT_S
        while not condition():
            assert time.monotonic() < until, f"waited {TIMEOUT_S:g} s"
            await asyncio.sleep(0.01)

    return wait
