"""Checks the settings of all services before any of them starts."""

import os
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from rapl_service.exit_codes import BAD_SETTING
from rapl_service.settings.unknown import REPORTED, unknown_settings

from rapl_cli.errors import report
from rapl_cli.fleet.programs import Program

_CHECK_SETTINGS = "--check-settings"
"""The argument of every service; see `rapl_service.run`."""
_LIMIT_S = 120.0


def settings_are_right(fleet: Sequence[Program]) -> bool:
    """Prints a line for each unknown name and for each wrong setting. Returns whether no setting is wrong."""
    if os.environ.get(REPORTED):
        return True
    for line in unknown_settings(os.environ):
        report(line)
    services = [program for program in fleet if program.port_variable]
    with ThreadPoolExecutor(len(services)) as pool:
        found = [line for lines in pool.map(_wrong_settings, services) for line in lines]
    for line in dict.fromkeys(found):  # two services may read the same variable
        report(line)
    return not found


def _wrong_settings(program: Program) -> list[str]:
    ended = subprocess.run(
        [str(program.python), "-m", *program.arguments, _CHECK_SETTINGS],
        env={**os.environ, **program.environ, REPORTED: "yes"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
    )
    return ended.stderr.splitlines() if ended.returncode == BAD_SETTING else []
