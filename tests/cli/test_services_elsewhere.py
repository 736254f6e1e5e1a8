"""`rapl up` uses the services that RAPL_*_URL place elsewhere, and starts the others."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rapl_cli.fleet.ports import Ports, port_problem
from rapl_cli.fleet.service_urls import service_urls
from services import ROOT, SAMPLE, SAMPLE_TEXTS, SELFTEST, ServiceProcess, free_port, until

LIMIT_S = 120
PORTS = Ports(8000, 8010, 8020, 8030)


@pytest.mark.parametrize(
    ("urls", "is_ours"),
    [
        (None, True),
        ("", True),
        ("http://127.0.0.1:8020", True),
        ("http://localhost:8020/", True),
        ("http://10.0.0.7:8020, http://[::1]:8020", True),
        ("http://10.0.0.7:8020,http://10.0.0.8:8020", False),
        ("http://127.0.0.1:8021", False),
        ("https://127.0.0.1:8020", False),
        ("http://127.0.0.1", False),
        ("http://127.0.0.1:x", False),
    ],
)
def test_an_address_is_ours_if_it_is_our_port_of_this_machine(urls: str | None, is_ours: bool):
    environ = {} if urls is None else {"RAPL_SENSEVOICE_URL": urls}

    assert service_urls(PORTS, environ)["sensevoice-service"].is_ours is is_ours


@pytest.fixture
def sensevoice(sensevoice_python, tmp_path) -> Iterator[ServiceProcess]:
    """A sensevoice-service that `up` did not start."""
    folder = {"RAPL_SENSEVOICE_MODEL_DIR": str(tmp_path)}
    with ServiceProcess(sensevoice_python, "rapl_sensevoice", "RAPL_SENSEVOICE_PORT", tmp_path / "log", **folder) as it:
        yield it


def rapl(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = ["./rapl", *arguments]
    everything = {**os.environ, **environ}
    return subprocess.run(command, cwd=ROOT, env=everything, capture_output=True, text=True, timeout=LIMIT_S)


@contextmanager
def up(folder: Path, **urls: str) -> Iterator[tuple[subprocess.CompletedProcess[str], dict[str, str]]]:
    """The ended `up --detach`, and the environment of the services."""
    ports = {name: str(free_port()) for name in ("RAPL_PORT", "RAPL_PREPROCESS_PORT", "RAPL_SENSEVOICE_PORT")}
    environ = {**ports, "RAPL_SENSEVOICE_MODEL_DIR": str(folder), **urls}
    try:
        yield rapl("up", "--detach", "--no-mlx", **environ), environ
    finally:
        rapl("down", **environ)


def test_a_replica_elsewhere_is_used_and_no_engine_is_started_here(sensevoice, tmp_path):
    absent = f"http://127.0.0.1:{free_port()}"
    with up(tmp_path, RAPL_SENSEVOICE_URL=f"{sensevoice.url}, {absent}/") as (started, environ):
        is_listening = port_problem(int(environ["RAPL_SENSEVOICE_PORT"]), "RAPL_SENSEVOICE_PORT") is not None
        transcribed = rapl("transcribe", "--stdout", "--model", SELFTEST, str(SAMPLE), **environ)

    assert started.returncode == 0
    assert started.stderr.splitlines() == [
        f"rapl: sensevoice-service: using {sensevoice.url}, {absent} (RAPL_SENSEVOICE_URL)",
        "rapl: starting preprocess, gateway",
    ]
    assert not is_listening
    assert transcribed.stdout == f"{SAMPLE_TEXTS[SELFTEST]}\n", transcribed.stderr


def test_a_service_elsewhere_that_does_not_answer_is_named_and_does_not_delay_up(tmp_path):
    absent = f"http://127.0.0.1:{free_port()}"
    with up(tmp_path, RAPL_SENSEVOICE_URL=absent) as (started, _):
        pass

    [using, _, problem] = started.stderr.splitlines()
    assert started.returncode == 0
    assert using == f"rapl: sensevoice-service: using {absent} (RAPL_SENSEVOICE_URL)"
    assert problem.startswith(f"rapl: sensevoice-service at {absent} cannot be reached.")


def test_up_starts_a_replica_for_each_address_of_this_machine(tmp_path):
    first, second = free_port(), free_port()
    with up(
        tmp_path,
        RAPL_SENSEVOICE_PORT=str(first),
        RAPL_SENSEVOICE_URL=f"http://127.0.0.1:{first},http://127.0.0.1:{second}",
    ) as (ended, environ):
        until("both replicas answer", lambda: states(environ) == ["ok", "ok"])

    assert ended.returncode == 0, ended.stderr


def states(environ: dict[str, str]) -> list[str]:
    """The states of SenseVoice's replicas."""
    found = json.loads(rapl("status", "--json", **environ).stdout)
    [backend] = [each for each in found["backends"] if each["name"] == "sensevoice"]
    return [replica["state"] for replica in backend["replicas"]]
