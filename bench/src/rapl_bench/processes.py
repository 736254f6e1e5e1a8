"""Starts and stops the measured programs: one process and one port each."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

START_LIMIT_S = 300.0
"""LiteLLM takes 20 s to start on two idle cores."""
_STOP_LIMIT_S = 40.0
_LOG_TAIL_CHARACTERS = 3000


class StartError(Exception):
    """A program did not start in time; the message has the end of its log."""


def log_tail(log: Path) -> str:
    """Returns the end of a program's log, which usually has the reason why it exited."""
    return log.read_text(errors="replace")[-_LOG_TAIL_CHARACTERS:]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class ServerProcess:
    """A program that serves HTTP on `port`. The context starts it and waits until it answers.

    Args:
        command: the program and its arguments.
        port: its port on 127.0.0.1.
        log: file to which its output is appended.
        environ: additional environment variables. RAPL's settings in the current environment are not passed on.
        live_path: the path that answers with 200 when the program is ready.
    """

    def __init__(
        self,
        command: Sequence[str],
        port: int,
        log: Path,
        environ: Mapping[str, str] | None = None,
        live_path: str = "/health/live",
    ) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self._command = list(command)
        self._log = log
        self._environ = {**_without_settings(os.environ), **(environ or {})}
        self._live_path = live_path
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def start(self) -> None:
        """Starts the program, also again after `stop`, and waits until it answers.

        Raises:
            StartError: it does not answer in time.
        """
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            self._wait_until_live()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def _wait_until_live(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_LIMIT_S
        while not answers(self.url + self._live_path):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise StartError(f"{' '.join(self._command[:3])} did not start:\n{log_tail(self._log)}")
            time.sleep(0.05)


def _without_settings(environ: Mapping[str, str]) -> dict[str, str]:
    names = ("BACKEND", "LOCAL_MODEL")  # settings of the original server, which RAPL also reads
    return {name: value for name, value in environ.items() if not name.startswith("RAPL_") and name not in names}


def answers(url: str) -> bool:
    """Whether a GET of `url` gets status 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def until(what: str, condition: Callable[[], bool], limit_s: float = START_LIMIT_S) -> None:
    """Waits until `condition()` is true.

    Raises:
        StartError: it is still false after `limit_s`.
    """
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise StartError(f"after {limit_s:g} s still waiting until {what}")
        time.sleep(0.05)
