"""`rapl test`: which environments it makes, and how it calls pytest."""

from types import SimpleNamespace

import pytest
from rapl_cli.__main__ import main
from rapl_cli.fleet.environments import Environment


@pytest.fixture
def runs(monkeypatch, tmp_path) -> list[tuple[list[str], dict[str, str]]]:
    """The commands that were run, with their environment variables. Nothing is installed or run."""
    found = []

    def run(command: list[str], *, env: dict[str, str], **_: object) -> SimpleNamespace:
        found.append((command, env))
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(Environment, "ensure", lambda self: tmp_path / self.name)
    monkeypatch.setattr("rapl_cli.commands.development.subprocess.run", run)
    return found


@pytest.mark.parametrize(
    ("arguments", "has_real"),
    [([], False), (["-m", "docker"], False), (["-m", "real"], True), (["-mreal", "-k", "page"], True)],
)
def test_the_real_models_are_installed_only_for_their_own_tests(monkeypatch, runs, arguments, has_real):
    monkeypatch.delenv("RAPL_REAL_PYTHON", raising=False)

    assert main(["test", *arguments]) == 0
    [(command, env)] = runs
    assert command[len(command) - len(arguments) :] == arguments
    assert ("RAPL_REAL_PYTHON" in env) == has_real


@pytest.mark.parametrize(
    ("arguments", "has_several"),
    [([], True), (["--durations=15"], True), (["gateway/tests"], False), (["-m", "docker"], False), (["-x"], False)],
)
def test_all_tests_run_in_several_processes_and_chosen_ones_in_one(runs, arguments, has_several):
    assert main(["test", *arguments]) == 0
    [(command, _)] = runs
    assert any(each.startswith("--numprocesses=") for each in command) == has_several
