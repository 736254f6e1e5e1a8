import sys
from collections.abc import Iterator

import pytest
from rapl_bench.processes import ServerProcess, free_port
from rapl_bench.reporting.results import BenchSettings


@pytest.fixture
def stub(tmp_path) -> Iterator[ServerProcess]:
    port = free_port()
    command = [sys.executable, "-m", "rapl_bench.stub_engine", str(port), "3"]
    with ServerProcess(command, port, tmp_path / "stub") as server:
        yield server


@pytest.fixture
def settings(tmp_path) -> BenchSettings:
    scratch, cache = tmp_path / "scratch", tmp_path / "cache"
    scratch.mkdir()
    cache.mkdir()
    return BenchSettings(quick=True, scratch=scratch, cache=cache)
