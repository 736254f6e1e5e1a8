"""The real services as processes of a test, each in the environment that it runs in."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

START_LIMIT_S = 120.0
STOP_LIMIT_S = 40.0


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until(what: str, condition, limit_s: float = START_LIMIT_S) -> None:
    """Waits until `condition()` is true."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {limit_s:g} s: {what}"
        time.sleep(0.05)


class ServiceProcess:
    """`python -m MODULE` on a port of its own, live when the context begins; it can be stopped and started again."""

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
        """`environ` changes what the service was given before, for this start and later ones."""
        self._environ |= environ
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env=self._environ, stdout=log, stderr=log)
        until(f"{self._command} is live; {self.log} has its log", self._is_live)
        return self

    def stop(self) -> int:
        """Ends it as an operator would, and returns its exit code."""
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
        """Ends it as nobody wants it to end."""
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
        assert self._process.poll() is None, f"it ended: {self.log.read_text()[-3000:]}"
        try:
            with urllib.request.urlopen(f"{self.url}/health/live", timeout=1) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False
