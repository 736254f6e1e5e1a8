"""Staged mishaps: what goes wrong, and the whole screen that a person then sees. The tables are in `mishaps/`."""

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from mishap import COLUMNS, ROWS, Mishap, mishaps, seen
from mishap_stages import STAGES, Environ, environment, fleet_settings
from rapl_cli.fleet import environments
from services import ROOT, until
from terminal import Terminal

UP = ["./rapl", "up", "--no-download", "--no-mlx"]
[AS_ALWAYS] = (mishap for mishap in mishaps(with_fleet=False) if mishap.name == "when up is ready")


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder whose name has always the same length, so that lines break always at the same words."""
    folder = Path(tempfile.mkdtemp(prefix="rapl-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def installed() -> None:
    """What a command would install first, and say so."""
    environments.SENSEVOICE.ensure()
    environments.FUNASR.ensure()


@pytest.fixture(scope="module")
def own(installed, tmp_path_factory: pytest.TempPathFactory) -> Environ:
    return environment(tmp_path_factory.mktemp("own"))


def running(environ: Environ) -> Terminal:
    return Terminal(UP, environ=environ, cwd=ROOT, size=(COLUMNS, ROWS))


@pytest.fixture(scope="module")
def fleet(installed) -> Iterator[Environ]:
    """A fleet with a key, TLS, a model that failed and a small disk."""
    with short_folder() as folder, fleet_settings(folder) as environ, running(environ) as terminal:
        terminal.wait_for("rapl: up at")
        yield environ
        subprocess.run(["./rapl", "down"], cwd=ROOT, env=environ, check=True, capture_output=True)


def identifier(mishap: Mishap) -> str:
    return mishap.name


@pytest.mark.parametrize("mishap", mishaps(with_fleet=False), ids=identifier)
def test_a_person_sees_what_is_wrong_and_what_to_do(mishap: Mishap, own, folder):
    with STAGES[mishap.stage](own, folder) as environ:
        found = seen(mishap, environ, folder)

    assert (found.screen, found.code) == (mishap.screen.rstrip("\n"), mishap.code)


def killed(terminal: Terminal) -> None:
    psutil.Process(terminal.pid).send_signal(signal.SIGKILL)


@pytest.mark.parametrize("end", [killed, Terminal.close_window], ids=["kill -9", "closed terminal"])
def test_after_a_sudden_end_nothing_runs_on_and_up_starts_as_always(end: Callable[[Terminal], None], own, folder):
    with running(own) as terminal:
        terminal.wait_for("rapl: up at")
        services = psutil.Process(terminal.pid).children(recursive=True)
        end(terminal)
        _, alive = psutil.wait_procs(services, timeout=60)
        until("the supervisor has ended", lambda: not psutil.pid_exists(terminal.pid) or is_zombie(terminal.pid))
    again = seen(AS_ALWAYS, own, folder)

    assert alive == []
    assert (again.screen, again.code) == (AS_ALWAYS.screen.rstrip("\n"), 0)


def is_zombie(pid: int) -> bool:
    return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("mishap", mishaps(with_fleet=True), ids=identifier)
def test_with_a_running_fleet_too(mishap: Mishap, fleet, folder):
    with STAGES[mishap.stage](fleet, folder) as environ:
        found = seen(mishap, environ, folder)

    assert (found.screen, found.code) == (mishap.screen.rstrip("\n"), mishap.code)
