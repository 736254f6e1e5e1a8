"""`rapl test`: which environments it makes."""

from types import SimpleNamespace

import pytest
from rapl_cli.__main__ import main
from rapl_cli.fleet.environments import Environment


@pytest.mark.parametrize(
    ("arguments", "has_real"),
    [([], False), (["-m", "docker"], False), (["-m", "real"], True), (["-mreal", "-k", "page"], True)],
)
def test_the_real_models_are_installed_only_for_their_own_tests(monkeypatch, tmp_path, arguments, has_real):
    passed: list[dict[str, str]] = []

    def run(command: list[str], *, env: dict[str, str], **_: object) -> SimpleNamespace:
        assert command[-len(arguments) or len(command) :] == arguments
        passed.append(env)
        return SimpleNamespace(returncode=0)

    monkeypatch.delenv("RAPL_REAL_PYTHON", raising=False)
    monkeypatch.setattr(Environment, "ensure", lambda self: tmp_path / self.name)
    monkeypatch.setattr("rapl_cli.commands.development.subprocess.run", run)

    assert main(["test", *arguments]) == 0
    assert ("RAPL_REAL_PYTHON" in passed[0]) == has_real
