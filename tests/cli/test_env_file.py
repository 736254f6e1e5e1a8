"""`./rapl` reads `.env` as Compose does."""

import os
from pathlib import Path

import pytest
from rapl_command import piped


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment without a port, and a file that sets one."""
    file = tmp_path / "settings.env"
    file.write_text('# the port of the gateway\nRAPL_PORT = "9"\n')
    return {**{name: os.environ[name] for name in os.environ if name != "RAPL_PORT"}, "RAPL_ENV_FILE": str(file)}


def test_a_setting_of_the_file_counts(environ):
    assert "http://127.0.0.1:9 cannot be reached" in piped(environ, "status").stderr


@pytest.mark.parametrize(("value", "port"), [("10", "10"), ("", "8000")], ids=["a value", "an empty value"])
def test_the_environment_wins(environ, value, port):
    assert f"http://127.0.0.1:{port} " in piped({**environ, "RAPL_PORT": value}, "doctor").stdout.replace(": ", " ")


def test_rapl_test_does_not_read_it(environ, tmp_path):
    (tmp_path / "broken.env").write_text("=8000\n")
    broken = {**environ, "RAPL_ENV_FILE": str(tmp_path / "broken.env")}

    assert piped(broken, "status").returncode == 2
    assert piped(broken, "test", "--version").returncode == 0
