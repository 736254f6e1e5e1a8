"""The health probe of a container, and how it kills a service that hangs."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rapl_service.health_probe import MAX_TIMEOUTS, is_healthy_or_killed

MODULE = "service_of_a_test"
SERVICE = """
import faulthandler, http.server, os, signal, threading, time

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response({"/live": 200, "/failing": 500}[self.path])
        self.end_headers()

    def log_message(self, *_): pass

def stands_still(number, frame):
    time.sleep(60)

faulthandler.register(signal.SIGUSR1)
signal.signal(signal.SIGHUP, stands_still)
server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
print(server.server_port, flush=True)
server.serve_forever()
"""

pytestmark = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="containers are Linux")


class Service:
    def __init__(self, process: subprocess.Popen[str], timeouts: Path) -> None:
        assert process.stdout
        self.process = process
        self._url = f"http://127.0.0.1:{int(process.stdout.readline())}"
        self._unanswered = timeouts

    def is_healthy(self, path: str = "/live") -> bool:
        return is_healthy_or_killed(f"{self._url}{path}", MODULE, self._unanswered, timeout_s=0.2)

    def stop_answering(self) -> None:
        self.process.send_signal(signal.SIGHUP)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    (tmp_path / f"{MODULE}.py").write_text(SERVICE)
    command = [sys.executable, "-m", MODULE]
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            yield Service(process, tmp_path / "timeouts")
        finally:
            process.kill()


def test_a_service_that_answers_is_healthy(service):
    assert service.is_healthy()


def test_a_service_that_answers_an_error_is_not_healthy_and_is_not_killed(service):
    assert [service.is_healthy("/failing") for _ in range(MAX_TIMEOUTS + 1)] == [False] * (MAX_TIMEOUTS + 1)
    assert service.process.poll() is None


def test_a_service_that_hangs_is_killed_and_its_log_has_tracebacks(service, tmp_path):
    service.stop_answering()

    for _ in range(MAX_TIMEOUTS - 1):
        assert not service.is_healthy()
    assert service.process.poll() is None

    assert not service.is_healthy()
    assert service.process.wait(10) == -signal.SIGKILL
    assert "in stands_still" in (tmp_path / "log").read_text()


def test_only_timeouts_in_a_row_count(service, tmp_path):
    (tmp_path / "timeouts").write_bytes(b"." * (MAX_TIMEOUTS - 1))
    assert service.is_healthy()

    service.stop_answering()
    assert not service.is_healthy()
    assert service.process.poll() is None


def test_a_service_that_does_not_listen_is_not_healthy_and_not_killed(service, tmp_path):
    timeouts = tmp_path / "timeouts"

    assert not is_healthy_or_killed("http://127.0.0.1:1/live", MODULE, timeouts)
    assert not timeouts.exists()
