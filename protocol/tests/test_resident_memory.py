"""A service does not keep what a burst of requests has left."""

import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux says what is resident")

SERVICE = """
from types import SimpleNamespace
from fastapi import FastAPI
from rapl_protocol.service import serve

app, kept = FastAPI(), []

@app.get("/burst")
async def burst():
    # Large pieces with small ones between them that stay, as with pools and caches: the heap cannot shrink at its end.
    pieces = []
    for _ in range(900):
        pieces.append(bytes(120_000))
        kept.append(bytes(700))
    return len(pieces)

serve(app, SimpleNamespace(host="127.0.0.1", port=0, log_level="INFO"))
"""


def test_after_a_burst_it_is_given_back(tmp_path: Path):
    log = tmp_path / "log"
    with log.open("wb") as output:
        service = subprocess.Popen([sys.executable, "-c", SERVICE], stderr=output)
    try:
        port = _port(log)
        before = psutil.Process(service.pid).memory_info().rss
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/burst", timeout=30) as answer:
            assert answer.read() == b"900"
        deadline = time.monotonic() + 20
        while psutil.Process(service.pid).memory_info().rss > before + 30e6:
            assert time.monotonic() < deadline, "it still holds what it has freed"
            time.sleep(0.1)
    finally:
        service.send_signal(signal.SIGTERM)
        service.wait(30)


def _port(log: Path) -> str:
    deadline = time.monotonic() + 30
    while not (found := re.search(r"running on http://127.0.0.1:(\d+)", log.read_text())):
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    return found[1]
