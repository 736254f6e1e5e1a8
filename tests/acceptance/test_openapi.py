"""schemathesis reads the gateway's OpenAPI document and searches for requests whose answers contradict it.

The default model must be ready: without it, 503 would be the correct answer.
"""

import re
import subprocess
import sys
from pathlib import Path

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def test_schemathesis_finds_no_server_error_and_no_undocumented_answer(selftest_gateway, tmp_path):
    command = [
        Path(sys.executable).parent / "schemathesis", "run", f"{selftest_gateway.url}/openapi.json",
        "--checks", CHECKS, "--seed", "1", "--max-examples", "60", "--generation-database", "none",
        "--include-path-regex", "^/v1/",
    ]  # fmt: skip
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)

    assert ended.returncode == 0, ended.stdout[-5000:]
    assert re.search(r"[1-9]\d* generated", ended.stdout), ended.stdout[-2000:]
