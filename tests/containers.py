"""The fleet in containers: `docker compose` as the tests call it."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from openai import OpenAI
from services import ROOT, free_port

PORT = free_port()
PROJECT = "rapl-test"
SERVICES = ("gateway", "preprocess-service", "sensevoice-service")
FILES = ("docker-compose.yml", "docker-compose.linux.yml")
BASE_IMAGE = "python:3.11-slim-bookworm"
BUILD_LIMIT_S = 1800


def docker(*arguments: str, limit_s: float = 120, with_stderr: bool = False) -> str:
    """Returns what `docker` prints. The logs of our services are on stderr."""
    ended = subprocess.run(["docker", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=limit_s)
    assert ended.returncode == 0, f"docker {' '.join(arguments)}:\n{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"
    return ended.stdout + (ended.stderr if with_stderr else "")


def compose(*arguments: str, overlays: tuple[str, ...] = (), project: str = PROJECT, limit_s: float = 120) -> str:
    """Calls `docker compose`; `overlays` are further files, such as docker-compose.tls.yml."""
    files = [part for file in (*FILES, *overlays) for part in ("-f", file)]
    return docker("compose", *files, "-p", project, *arguments, limit_s=limit_s)


def up(*arguments: str, overlays: tuple[str, ...] = (), limit_s: float = 120) -> None:
    """Waits until all are healthy. If one is not, SIGUSR1 makes the services log the stack of each thread."""
    try:
        compose("up", "--wait", "--detach", *arguments, overlays=overlays, limit_s=limit_s)
    except AssertionError as error:
        compose("kill", "--signal", "USR1", *SERVICES)
        time.sleep(1)
        raise AssertionError(f"{error}\n{logs()}") from error


@contextmanager
def changed(overlays: tuple[str, ...] = (), **environ: str) -> Iterator[None]:
    """The fleet with further settings and overlays; containers that differ are made again, before and after."""
    before = {name: os.environ.get(name) for name in environ}
    try:
        os.environ |= environ
        up(overlays=overlays)
        yield
    finally:
        for name, value in before.items():
            del os.environ[name]
            os.environ |= {name: value} if value is not None else {}
        up()


def logs() -> str:
    return compose("logs", "--tail", "100", *SERVICES)


def container_ids(service: str) -> list[str]:
    return compose("ps", "--quiet", service).split()


def inspected(container: str) -> dict:
    return json.loads(docker("inspect", container))[0]


def state_of(client: OpenAI, model: str) -> str:
    return httpx.get(f"{client.base_url}models/{model}").json()["state"]


def words(client: OpenAI, sample: bytes, model: str) -> str:
    return client.audio.transcriptions.create(file=("sample.wav", sample), model=model).text
