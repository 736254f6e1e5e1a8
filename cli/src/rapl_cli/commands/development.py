"""`rapl test`: installs the environments that the tests need, and then runs pytest."""

import argparse
import os
import subprocess

from rapl_cli.checkout import ROOT
from rapl_cli.fleet.environments import FUNASR, MLX, REAL

_SEVERAL_PROCESSES = ["--numprocesses=3", "--dist=loadfile"]
"""Most tests wait for a service, and leave two cores idle. The tests of a file share its fixtures."""


def test(arguments: list[str]) -> int:
    """Runs pytest with `arguments`. Environment variables pass the engines' interpreters to the tests."""
    environ = {
        **os.environ,
        "RAPL_SENSEVOICE_PYTHON": str(FUNASR.ensure()),
        "RAPL_MLX_PYTHON": str(MLX.ensure()),
    }
    if "real" in _marker(arguments):
        environ["RAPL_REAL_PYTHON"] = str(REAL.ensure())
    uv = os.environ.get("UV", "uv")
    command = [uv, "run", "--frozen", "--project", str(ROOT), "python", "-m", "pytest"]
    if all(each.startswith("--") for each in arguments):  # no test is chosen by its path, name or marker
        command += _SEVERAL_PROCESSES
    return subprocess.run([*command, *arguments], cwd=ROOT, env=environ).returncode


def _marker(arguments: list[str]) -> str:
    """pytest's marker expression; "" if there is none."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-m", default="")
    return parser.parse_known_args(arguments)[0].m
