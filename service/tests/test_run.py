import signal
import subprocess
import sys

import pytest

PROGRAM = """
import sys
import time
from fastapi import FastAPI
from pydantic import Field
from pydantic_settings import SettingsConfigDict
from rapl_service.run import run
from rapl_service.telemetry.settings import TelemetrySettings

class Settings(TelemetrySettings):
    model_config = SettingsConfigDict(env_prefix="RAPL_EXAMPLE_")
    host: str = "127.0.0.1"
    port: int = Field(0, le=65535)
    log_level: str = "INFO"

def create_app(settings):
    {create_app}

run(create_app, Settings)
"""
MISCONFIGURED = 'raise ValueError("rapl.toml: the catalog is wrong")'
STUCK = """
    def stands_still(*_):
        print("standing still", file=sys.stderr, flush=True)
        time.sleep(60)
    return FastAPI(lifespan=stands_still)
"""
SIGNAL_WHILE_PREPARING = """
    import gc, signal
    freeze = gc.freeze
    def freeze_and_stop():
        freeze()
        signal.raise_signal(NUMBER)
    gc.freeze = freeze_and_stop
    return FastAPI()
"""


def program(create_app: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM.replace("{create_app}", create_app)]


def start(**environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(program(MISCONFIGURED), env=environ, capture_output=True, text=True, timeout=60)


def test_a_bad_setting_ends_the_start_with_one_line_that_names_the_variable():
    ended = start(RAPL_EXAMPLE_PORT="99999")

    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert line.startswith("RAPL_EXAMPLE_PORT:")


def test_a_wrong_configuration_ends_the_start_with_its_reason():
    ended = start()

    assert (ended.returncode, ended.stderr) == (2, "rapl.toml: the catalog is wrong\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_before_the_server_runs_is_not_lost(number):
    """The signal arrives while `serve` prepares: in the collection of garbage."""
    early = SIGNAL_WHILE_PREPARING.replace("NUMBER", str(number.value))

    ended = subprocess.run(program(early), capture_output=True, text=True, timeout=60)

    assert ended.returncode == 0, ended.stderr


def test_a_service_that_hangs_writes_tracebacks_on_sigusr1():
    with subprocess.Popen(program(STUCK), stderr=subprocess.PIPE, text=True) as stuck:
        assert stuck.stderr
        try:
            next(line for line in stuck.stderr if "standing still" in line)
            stuck.send_signal(signal.SIGUSR1)

            assert next(line for line in stuck.stderr if "in stands_still" in line)
        finally:
            stuck.kill()
