"""What a service says about wrong settings and unknown names when it starts."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
from typing import Annotated, Literal
from fastapi import FastAPI
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict
from rapl_service.run import run
from rapl_service.settings.base import EnvironmentSettings, ReadableFile

class Settings(EnvironmentSettings):
    model_config = SettingsConfigDict(env_prefix="RAPL_EXAMPLE_")
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    wait_s: float = Field(8.0, gt=0)
    switch: bool = True
    unknown: Literal["error", "default"] = "error"
    file: ReadableFile | None = Field(None, examples=["keys.txt"])
    pin: Annotated[SecretStr | None, Field(max_length=4)] = None
    log_level: Literal["DEBUG", "INFO"] = "INFO"

def create_app(settings):
    print(settings.switch, settings.unknown, settings.log_level)
    return FastAPI()

run(create_app, Settings)
"""


def check(**environ: str) -> subprocess.CompletedProcess[str]:
    variables = {f"RAPL_EXAMPLE_{name.upper()}": value for name, value in environ.items()}
    return check_variables(variables)


def check_variables(variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, "--check-settings"]
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("setting", "value", "line"),
    [
        ("port", "eight", "RAPL_EXAMPLE_PORT: 'eight' is not a whole number; for example RAPL_EXAMPLE_PORT=8000"),
        ("port", "99999", "RAPL_EXAMPLE_PORT: '99999' is greater than 65535; for example RAPL_EXAMPLE_PORT=8000"),
        ("port", "0", "RAPL_EXAMPLE_PORT: '0' is less than 1; for example RAPL_EXAMPLE_PORT=8000"),
        ("wait_s", "8s", "RAPL_EXAMPLE_WAIT_S: '8s' is not a number; for example RAPL_EXAMPLE_WAIT_S=8.0"),
        ("wait_s", "0", "RAPL_EXAMPLE_WAIT_S: '0' is not greater than 0; for example RAPL_EXAMPLE_WAIT_S=8.0"),
        ("wait_s", "inf", "RAPL_EXAMPLE_WAIT_S: 'inf' is not a finite number; for example RAPL_EXAMPLE_WAIT_S=8.0"),
        ("switch", "maybe", "RAPL_EXAMPLE_SWITCH: 'maybe' is neither on nor off; for example RAPL_EXAMPLE_SWITCH=on"),
        (
            "unknown",
            "ignore",
            "RAPL_EXAMPLE_UNKNOWN: 'ignore' is not one of error, default; for example RAPL_EXAMPLE_UNKNOWN=error",
        ),
        (
            "file",
            "no-such-file",
            "RAPL_EXAMPLE_FILE: 'no-such-file' cannot be read: No such file or directory;"
            " for example RAPL_EXAMPLE_FILE=keys.txt",
        ),
        (
            "file",
            "/",
            "RAPL_EXAMPLE_FILE: '/' cannot be read: Is a directory; for example RAPL_EXAMPLE_FILE=keys.txt",
        ),
    ],
)
def test_a_wrong_value_is_shown_with_its_variable_and_an_example(setting: str, value: str, line: str):
    ended = check(**{setting: value})

    assert (ended.returncode, ended.stderr) == (2, line + "\n")


def test_all_wrong_settings_are_named_at_once():
    ended = check(port="eight", switch="maybe", file="no-such-file")

    assert [line.split(":")[0] for line in ended.stderr.splitlines()] == [
        "RAPL_EXAMPLE_PORT",
        "RAPL_EXAMPLE_SWITCH",
        "RAPL_EXAMPLE_FILE",
    ]


def test_the_value_of_a_secret_is_not_shown():
    ended = check(pin="open sesame")

    assert ended.returncode == 2
    assert ended.stderr.startswith("RAPL_EXAMPLE_PIN: ")
    assert "sesame" not in ended.stderr


@pytest.mark.parametrize("text", ["off", "OFF", "No", "false", "0", " off "])
def test_a_switch_is_off_in_each_spelling(text: str):
    assert check(switch=text).stdout.startswith("False")


@pytest.mark.parametrize("text", ["on", "ON", "Yes", "true", "1", ""])
def test_a_switch_is_on_in_each_spelling_and_by_its_default(text: str):
    assert check(switch=text).stdout.startswith("True")


def test_the_case_of_a_choice_does_not_matter():
    assert check(unknown="DEFAULT", log_level="debug").stdout == "True default DEBUG\n"


def test_an_unknown_name_is_a_warning_with_the_nearest_name_and_the_service_goes_on():
    ended = check_variables({"RAPL_API_KEYS_FIL": "keys.txt", "RAPL_EXAMPLE_PROT": "1", "RAPL_ZZZZZZZZZZZZ": "1"})

    assert ended.returncode == 0
    assert ended.stderr.splitlines() == [
        "warning: RAPL_API_KEYS_FIL is not a setting of RAPL and has no effect. Is it RAPL_API_KEYS_FILE?",
        "warning: RAPL_EXAMPLE_PROT is not a setting of RAPL and has no effect. Is it RAPL_EXAMPLE_PORT?",
        "warning: RAPL_ZZZZZZZZZZZZ is not a setting of RAPL and has no effect",
    ]


@pytest.mark.parametrize("module", ["rapl_gateway", "rapl_preprocess", "rapl_sensevoice", "rapl_mlx"])
def test_each_service_knows_the_settings_of_the_others(module: str):
    names = ("RAPL_API_KEYS", "RAPL_PREPROCESS_WORKERS", "RAPL_SENSEVOICE_THREADS", "RAPL_MLX_MAX_QUEUE")
    environ = {"PATH": os.environ["PATH"], **dict.fromkeys([*names, "RAPL_SENSEVOICE_CPUS"], "1")}
    command = [sys.executable, "-m", module, "--check-settings"]
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)

    assert (ended.returncode, ended.stderr) == (0, "")
