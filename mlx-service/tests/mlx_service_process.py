"""Runs the real mlx-service in its own process."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

TIMEOUT_S = 90
"""Long, because these tests may share their CPUs with other programs."""

StartService = Callable[..., AbstractContextManager["RunningService"]]


@dataclass(frozen=True)
class RunningService:
    process: subprocess.Popen[bytes]
    url: str
    log_path: Path
    temporary: Path
    """Its directory for temporary files."""

    @property
    def log(self) -> str:
        """The log without the GET requests of these tests."""
        lines = self.log_path.read_text().splitlines(keepends=True)
        return "".join(line for line in lines if "method=GET" not in line)

    def models(self) -> dict[str, dict[str, Any]]:
        """Returns the models of /v1/models by id."""
        return {m["id"]: m for m in httpx.get(f"{self.url}/v1/models", timeout=30).json()["models"]}

    def post(self, path: str) -> httpx.Response:
        return httpx.post(f"{self.url}{path}", timeout=60)

    def wait_for(self, model_id: str, state: str) -> dict[str, Any]:
        """Waits until the model is in the state and returns its info. Fails at once if the model has failed instead."""

        def info_in_state() -> dict[str, Any] | None:
            info = self.models().get(model_id, {})
            assert state == "failed" or info.get("state") != "failed", f"{info}\n{self.log}"
            return info if info.get("state") == state else None

        return until(info_in_state, self)

    def children(self) -> list[int]:
        """Returns the process ids of the service's child processes."""
        out = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True).stdout
        return [int(line) for line in out.split()]


def until(condition: Callable[[], Any], service: RunningService) -> Any:
    """Polls until the condition returns a true value, and returns that value."""
    end = time.monotonic() + TIMEOUT_S
    while time.monotonic() < end:
        if result := condition():
            return result
        time.sleep(0.05)
    pytest.fail(f"the condition did not hold within {TIMEOUT_S} s. The log:\n{service.log}")


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def run_service(python: str, folder: Path, environ: dict[str, str], **settings: object) -> Iterator[RunningService]:
    """Runs mlx-service with the given settings, named without RAPL_MLX_. Its log and cache are in `folder`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    given = {f"RAPL_MLX_{name}": str(value) for name, value in {"PORT": port, **settings}.items()}
    temporary = folder / "tmp"
    temporary.mkdir()
    everything = {**os.environ, "HF_HOME": str(folder), "TMPDIR": str(temporary), **environ, **given}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([python, "-m", "rapl_mlx"], env=everything, stderr=log, stdout=log)
    service = RunningService(process, f"http://127.0.0.1:{port}", folder / "log", temporary)
    try:
        until(lambda: _is_live(service), service)
        yield service
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def _is_live(service: RunningService) -> bool:
    assert service.process.poll() is None, service.log
    try:
        return httpx.get(f"{service.url}/health/live", timeout=10).is_success
    except httpx.TransportError:
        return False
