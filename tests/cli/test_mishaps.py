"""Staged mishaps: what goes wrong, and the whole screen that a person then sees. The tables are in `mishaps/`."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from mishap import COLUMNS, Mishap, mishaps, seen
from mishap_stages import STAGES, Environ, environment, fleet_settings
from rapl_cli.fleet import environments
from services import ROOT
from terminal import Terminal

UP = ["./rapl", "up", "--no-download", "--no-mlx"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose name has always the same length, so that lines break always at the same words."""
    folder = Path(tempfile.mkdtemp(prefix="rapl-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def installed() -> None:
    """What `up` would install, and say."""
    environments.SENSEVOICE.ensure()
    environments.FUNASR.ensure()


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, installed) -> Environ:
    return environment(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, installed) -> Iterator[Environ]:
    """A fleet with a key, TLS, a damaged model and a small disk."""
    with ExitStack() as stack:
        environ = stack.enter_context(fleet_settings(tmp_path_factory.mktemp("fleet")))
        terminal = stack.enter_context(Terminal(UP, environ=environ, cwd=ROOT, size=(COLUMNS, 40)))
        terminal.wait_for("rapl: up at")
        yield environ
        terminal.close_window()
        subprocess.run(["./rapl", "down"], cwd=ROOT, env=environ, check=True, capture_output=True)


@pytest.mark.parametrize("mishap", mishaps(with_fleet=False), ids=lambda mishap: mishap.name)
def test_a_person_sees_what_is_wrong_and_what_to_do(mishap: Mishap, own, folder):
    with STAGES[mishap.stage](own, folder) as environ:
        found = seen(mishap, environ, folder)

    assert found.screen == mishap.screen.rstrip("\n")
    assert found.code == mishap.code


@pytest.mark.parametrize("mishap", mishaps(with_fleet=True), ids=lambda mishap: mishap.name)
def test_with_a_running_fleet_too(mishap: Mishap, fleet, folder):
    with STAGES[mishap.stage](fleet, folder) as environ:
        found = seen(mishap, environ, folder)

    assert found.screen == mishap.screen.rstrip("\n")
    assert found.code == mishap.code
