"""Runs `rapl doctor` as a process, and what it examines: services and web servers at chosen ports."""

import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from services import ROOT, ServiceProcess, free_port

LIMIT_S = 60
COMMAND = [sys.executable, "-m", "rapl_cli", "doctor"]


@dataclass(frozen=True)
class Report:
    code: int
    checks: list[dict[str, str | None]]

    def __getitem__(self, name: str) -> tuple[str | None, str | None]:
        """The status and the message of the only check with this name."""
        [check] = [check for check in self.checks if check["name"] == name]
        return check["status"], check["message"]

    def remedy(self, name: str) -> str | None:
        [check] = [check for check in self.checks if check["name"] == name]
        return check["remedy"]

    def problems(self) -> list[str | None]:
        return [check["name"] for check in self.checks if check["status"] in ("warning", "failed")]


def doctor(environ: Mapping[str, str], *arguments: str) -> Report:
    command = [*COMMAND, "--json", *arguments]
    ended = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=LIMIT_S)
    assert ended.stderr == ""
    report = Report(ended.returncode, json.loads(ended.stdout))
    for check in report.checks:
        assert (check["remedy"] is not None) == (check["status"] in ("warning", "failed")), check
        assert commands_that_do_not_exist(check["remedy"] or "", environ) == []
    return report


def commands_that_do_not_exist(text: str, environ: Mapping[str, str]) -> list[str]:
    """The commands between backquotes that cannot be run here."""
    missing = []
    for command in re.findall("`([^`]+)`", text):
        program, *arguments = command.split()
        if program == "./rapl":
            shown = subprocess.run([*COMMAND[:-1], *arguments, "--help"], capture_output=True, timeout=LIMIT_S)
            missing += [command] if shown.returncode else []
        elif program != "key_env" and not shutil.which(program, path=environ.get("PATH")):
            missing.append(command)
    return missing


class Process(ServiceProcess):
    """A service at the port that the environment names."""

    def __init__(self, python: str, name: str, folder: Path, environ: Mapping[str, str]) -> None:
        variable = "RAPL_PORT" if name == "gateway" else f"RAPL_{name.upper()}_PORT"
        super().__init__(python, f"rapl_{name}", variable, folder / f"{name}.log", **environ)
        self.port = int(environ[variable])
        self.url = f"{'https' if environ.get('RAPL_TLS_CERT') else 'http'}://127.0.0.1:{self.port}"

    def _is_live(self) -> bool:
        return answers(f"{self.url}/health/live")


@contextmanager
def gateway(folder: Path, environ: Mapping[str, str], **more: str) -> Iterator[dict[str, str]]:
    """A gateway at another port than the module's; gives the environment in which `doctor` finds it."""
    settings = {**environ, "RAPL_PORT": str(free_port()), **more}
    with Process(sys.executable, "gateway", folder, settings):
        yield settings


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, verify=False).status_code == 200
    except httpx.TransportError:
        return False


class _WebPage(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>hello</html>")

    def log_message(self, format: str, *_: object) -> None:
        pass


@contextmanager
def web_server() -> Iterator[http.server.ThreadingHTTPServer]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _WebPage) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
