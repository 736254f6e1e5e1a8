"""Runs the clients that are programs of their own."""

import os
import shutil
import subprocess
from pathlib import Path

CLIENTS = Path(__file__).parent / "clients"
LIMIT_S = 600


def run(command: list[str | Path], **environ: str) -> str:
    """Returns what the program prints."""
    ended = subprocess.run(
        command, cwd=CLIENTS, env={**os.environ, **environ}, capture_output=True, text=True, timeout=LIMIT_S
    )
    assert ended.returncode == 0, f"{command}:\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def newer_python() -> str | None:
    """A Python of at least 3.12 on this machine; None if there is none."""
    names = [f"python3.{minor}" for minor in (12, 13, 14)]
    # pyenv puts a command for each version into the path, but it works only for versions that are chosen there.
    found = [path for path in map(shutil.which, names) if path and "shims" not in path]
    found += [str(path) for name in names for path in Path.home().glob(f".pyenv/versions/*/bin/{name}")]
    return found[0] if found else None
