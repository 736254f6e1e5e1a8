"""Freed memory is returned to the system."""

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
from rapl_service.run import serve

app, kept = FastAPI(), []

@app.get("/burst")
async def burst():
    # Large pieces with small ones between them that stay, as with pools and caches: the heap cannot shrink at its end.
    pieces = []
    for _ in range(900):
        pieces.append(bytes(120_000))
        kept.append(bytes(700))
    return len(pieces)

serve(app, SimpleNamespace(host="127.0.0.1", port=0, log_level="INFO", log_format="text"))
"""

WITH_A_FILE = """
import mmap, ssl, sys
import numpy as np
import psutil
from rapl_service.memory import release_file_pages

def resident():
    return psutil.Process().memory_info().rss

with open(sys.argv[1], "rb") as file:
    content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    before, total = resident(), sum(content[::4096])
    held = resident()
    release_file_pages()
    after = resident()
    # The libraries go on working, and the file reads as it did.
    assert total == sum(content[::4096]) and np.linalg.det(np.eye(3)) == 1 and ssl.create_default_context()
print(before, held, after)
"""


def test_after_a_burst_of_requests_memory_is_returned(tmp_path: Path):
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


def test_unchanged_file_pages_are_released_and_can_be_read_again(tmp_path: Path):
    weights = tmp_path / "weights"
    weights.write_bytes(bytes(range(256)) * (50_000_000 // 256))
    ended = subprocess.run([sys.executable, "-c", WITH_A_FILE, str(weights)], capture_output=True, text=True)

    assert ended.returncode == 0, ended.stderr
    before, held, after = map(int, ended.stdout.split())
    assert held > before + 45e6
    assert after < before + 1e6


def _port(log: Path) -> str:
    deadline = time.monotonic() + 30
    while not (found := re.search(r"listening url=http://127.0.0.1:(\d+)", log.read_text())):
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    return found[1]
