import subprocess
import sys

PROGRAM = """
from fastapi import FastAPI
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from rapl_protocol.service import run

class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="RAPL_EXAMPLE_")
    host: str = "127.0.0.1"
    port: int = Field(0, le=65535)
    log_level: str = "INFO"

def create_app(settings):
    raise ValueError("rapl.toml: the catalog is wrong")

run(create_app, Settings)
"""


def start(**environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", PROGRAM], env=environ, capture_output=True, text=True, timeout=60)


def test_a_bad_setting_ends_the_start_with_one_line_that_names_the_variable():
    ended = start(RAPL_EXAMPLE_PORT="99999")

    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert line.startswith("RAPL_EXAMPLE_PORT:")


def test_a_wrong_configuration_ends_the_start_with_its_reason():
    ended = start()

    assert (ended.returncode, ended.stderr) == (2, "rapl.toml: the catalog is wrong\n")
