"""The first run of each engine downloads its model from a hub and shows the progress; later runs need no network."""

import os
import pty
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from local_hub import LocalHub
from services import DIGITS_FOLDER, ROOT, ServiceProcess, until

SELFTEST_FOLDER = ROOT / "sensevoice-service" / "src" / "rapl_sensevoice" / "selftest_model"
SENSEVOICE, QWEN = "iic/SenseVoiceSmall", "mlx-community/Qwen3-ASR-1.7B-8bit"


class Terminal:
    """A pseudo-terminal for a process, and everything that was written to it."""

    def __init__(self) -> None:
        self._ours, self.theirs = pty.openpty()
        termios.tcsetwinsize(self.theirs, (40, 120))
        self._text = b""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while piece := os.read(self._ours, 65536):
                self._text += piece
        except OSError:
            pass  # on Linux: the last writer has closed the terminal

    @property
    def text(self) -> str:
        return self._text.decode()


@pytest.fixture
def hub() -> Iterator[LocalHub]:
    """A hub that serves tiny models under both real ids, slowly enough to observe the progress."""
    with LocalHub() as hub:
        hub.add(SENSEVOICE, SELFTEST_FOLDER)
        hub.add(QWEN, DIGITS_FOLDER)
        hub.bytes_per_s = 400_000
        yield hub


@contextmanager
def gateway(tmp_path: Path, **urls: str) -> Iterator[ServiceProcess]:
    environ = {"RAPL_ROOT": str(tmp_path), **urls}
    with ServiceProcess(sys.executable, "rapl_gateway", "RAPL_PORT", tmp_path / "gateway.log", **environ) as running:
        yield running


def model(gateway: ServiceProcess, name: str) -> dict:
    return httpx.get(f"{gateway.url}/v1/models/{name}").json()


def is_half_way(gateway: ServiceProcess, name: str) -> bool:
    """Whether it is being downloaded, and some of its bytes have arrived, but not all."""
    found = model(gateway, name)
    progress = found.get("progress") or {}
    total = progress.get("total_bytes")
    return found["state"] == "downloading" and bool(total) and 0 < progress["done_bytes"] < total


def transcribe(gateway: ServiceProcess, sample: bytes, name: str) -> httpx.Response:
    return httpx.post(
        f"{gateway.url}/v1/audio/transcriptions", data={"model": name}, files={"file": sample}, timeout=120
    )


def test_sensevoice_is_downloaded_with_progress_and_then_runs_without_any_network(
    hub, sample, sensevoice_python, tmp_path
):
    environ = {"RAPL_SENSEVOICE_MODEL_DIR": str(tmp_path / "models"), **hub.environ}
    prepare = [sensevoice_python, "-m", "rapl_sensevoice.prepare_model"]
    terminal = Terminal()
    sensevoice = ServiceProcess(
        sensevoice_python, "rapl_sensevoice", "RAPL_SENSEVOICE_PORT", tmp_path / "sensevoice.log", **environ
    )
    with sensevoice, gateway(tmp_path, RAPL_SENSEVOICE_URL=sensevoice.url) as front:
        with subprocess.Popen(prepare, env=os.environ | environ, stderr=terminal.theirs) as process:
            until("the download is half way", lambda: is_half_way(front, SENSEVOICE))
            meanwhile = transcribe(front, sample, SENSEVOICE)
        until("the model is ready", lambda: model(front, SENSEVOICE)["state"] == "ready")
        first = transcribe(front, sample, SENSEVOICE)

        hub.offline = True
        again = subprocess.run(prepare, env=os.environ | environ, timeout=120, check=False)
        sensevoice.stop()
        sensevoice.start()
        until("the model is ready", lambda: model(front, SENSEVOICE)["state"] == "ready")
        offline = transcribe(front, sample, SENSEVOICE)

    assert process.returncode == 0
    assert (meanwhile.status_code, meanwhile.json()["error"]["code"]) == (503, "model_not_ready")
    assert "downloading" in meanwhile.json()["error"]["message"]
    assert "SenseVoiceSmall:" in terminal.text
    assert "%|" in terminal.text
    assert again.returncode == 0
    assert [answer.json()["text"] for answer in (first, offline)] == ["3 1 4 1 5 9."] * 2


def test_the_mlx_model_is_downloaded_with_progress_and_then_runs_without_any_network(hub, sample, mlx_python, tmp_path):
    terminal = Terminal()
    environ = {"HF_HOME": str(tmp_path / "huggingface"), **hub.environ}
    mlx = ServiceProcess(mlx_python, "rapl_mlx", "RAPL_MLX_PORT", Path(os.ttyname(terminal.theirs)), **environ)
    with mlx, gateway(tmp_path, RAPL_MLX_URL=mlx.url) as front:
        until("the download is half way", lambda: is_half_way(front, QWEN))
        meanwhile = transcribe(front, sample, QWEN)
        until("the model is ready", lambda: model(front, QWEN)["state"] == "ready")
        first = transcribe(front, sample, QWEN)

        hub.offline = True
        mlx.stop()
        mlx.start()
        until("the model is ready", lambda: model(front, QWEN)["state"] == "ready")
        offline = transcribe(front, sample, QWEN)

    assert (meanwhile.status_code, meanwhile.json()["error"]["code"]) == (503, "model_not_ready")
    assert "downloading" in meanwhile.json()["error"]["message"]
    assert "%|" in terminal.text
    assert [answer.json()["text"] for answer in (first, offline)] == ["three one four one five nine"] * 2
