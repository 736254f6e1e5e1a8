"""schemathesis reads our own OpenAPI document and looks for requests that break its word."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from services import ServiceProcess

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.fixture(scope="module")
def gateway(fleet, tmp_path_factory):
    """A gateway whose default model is there: without one, a 503 would be the right answer."""
    log = tmp_path_factory.mktemp("openapi") / "log"
    environ = {
        "RAPL_DEFAULT_MODEL": "rapl/selftest",
        "RAPL_SENSEVOICE_URL": fleet.sensevoice.url,
        "RAPL_PREPROCESS_URL": fleet.preprocess.url,
        "RAPL_MLX_URL": fleet.mlx.url,
    }
    with ServiceProcess(sys.executable, "rapl_gateway", "RAPL_PORT", log, **environ) as gateway:
        yield gateway


def test_schemathesis_finds_no_server_error_and_no_undocumented_answer(gateway, tmp_path):
    command = [
        Path(sys.executable).parent / "schemathesis", "run", f"{gateway.url}/openapi.json",
        "--checks", CHECKS, "--seed", "1", "--max-examples", "60", "--generation-database", "none",
        "--include-path-regex", "^/v1/",
    ]  # fmt: skip
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)

    assert ended.returncode == 0, ended.stdout[-5000:]
    assert re.search(r"[1-9]\d* generated", ended.stdout), ended.stdout[-2000:]
