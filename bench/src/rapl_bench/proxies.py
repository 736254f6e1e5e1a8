"""Proxies that people use in front of transcription servers, each in front of the stub engine."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from rapl_bench.load import API_KEY
from rapl_bench.processes import ServerProcess, free_port
from rapl_bench.reporting.machine import first_line, version_elsewhere
from rapl_bench.stub_engine import MODEL

HAPROXY_ABSENT = "HAProxy was not measured: no `haproxy` on the PATH (Debian: `apt-get install haproxy`)."
LITELLM_ABSENT = "LiteLLM was not measured: its environment could not be made. See the first lines of `./rapl bench`."
LITELLM_PYTHON = "RAPL_BENCH_LITELLM_PYTHON"
_HAPROXY = """
global
  maxconn 1000
defaults
  mode http
  timeout connect 5s
  timeout client 120s
  timeout server 120s
  http-reuse always
frontend bench
  bind 127.0.0.1:{port}
  default_backend stub
backend stub
  server stub 127.0.0.1:{stub_port}
"""
_LITELLM = """
model_list:
  - model_name: {model}
    litellm_params:
      model: openai/{model}
      api_base: {stub_url}/v1
      api_key: any
    model_info:
      mode: audio_transcription
"""


def haproxy_program() -> str | None:
    """Returns the path of HAProxy, or None. Debian installs it in a folder that is only on root's PATH."""
    return shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def haproxy(program: str, stub: ServerProcess, scratch: Path) -> ServerProcess:
    """HAProxy with its defaults: one thread per core."""
    port, config = free_port(), scratch / "haproxy.cfg"
    config.write_text(_HAPROXY.format(port=port, stub_port=stub.port))
    return ServerProcess([program, "-f", str(config), "-db"], port, scratch / "haproxy.log")


def litellm_python() -> str | None:
    return os.environ.get(LITELLM_PYTHON)


def litellm(python: str, stub: ServerProcess, scratch: Path) -> ServerProcess:
    """LiteLLM's proxy with one worker, like RAPL's gateway, and without a database."""
    port, config = free_port(), scratch / "litellm.yaml"
    config.write_text(_LITELLM.format(model=MODEL, stub_url=stub.url))
    program = Path(python).with_name("litellm")
    command = [str(program), "--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    environ = {
        "LITELLM_MASTER_KEY": API_KEY,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
        "LITELLM_TELEMETRY": "False",
    }
    return ServerProcess(command, port, scratch / "litellm.log", environ, live_path="/health/liveliness")


def proxy_versions(haproxy: str | None, python: str | None) -> dict[str, str]:
    found = {}
    if haproxy:
        found["HAProxy"] = first_line([haproxy, "-v"]).split()[2]
    if python:
        found["LiteLLM"] = version_elsewhere(python, "litellm")
    return found


def absences(haproxy: str | None, python: str | None) -> Sequence[str]:
    return [note for tool, note in ((haproxy, HAPROXY_ABSENT), (python, LITELLM_ABSENT)) if not tool]
