"""The engines' own Python environments, made by uv from the lock and from an engine's requirement set.

The gateway and preprocess-service run in the command-line program's environment. An engine has one of its own:
its libraries are heavy, and two engines need not agree on a version.
"""

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from rapl_cli.checkout import ROOT, STATE


class InstallError(Exception):
    """An environment could not be made; uv has said why on the terminal."""


@dataclass(frozen=True)
class Environment:
    name: str
    sync: tuple[str, ...]
    """Arguments of `uv sync`: what it takes from the lock. None: nothing."""
    installer: Path | None = None
    """A program that adds what the lock does not hold; it gets the environment's Python as its argument."""

    @property
    def folder(self) -> Path:
        return STATE / self.name

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def ensure(self) -> Path:
        """Makes the environment unless it is up to date, and returns its Python.

        Raises:
            InstallError: uv failed.
        """
        stamp, wanted = self.folder / ".rapl-stamp", self._fingerprint()
        if stamp.exists() and stamp.read_text() == wanted and self.python.exists():
            return self.python
        print(f"rapl: installing what {self.name} needs into {self.folder.relative_to(ROOT)}", file=sys.stderr)
        uv, environ = os.environ.get("UV", "uv"), {**os.environ, "UV_PROJECT_ENVIRONMENT": str(self.folder)}
        environ.pop("VIRTUAL_ENV", None)
        if self.sync:
            # Inexact: what the installer added stays, and is brought up to date by the installer itself.
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
    ended = subprocess.run(command, env=environ)
    if ended.returncode:
        raise InstallError(f"`{' '.join(command[:2])}` failed with exit code {ended.returncode}")


SENSEVOICE = Environment("sensevoice", sync=("--package", "rapl-sensevoice", "--no-dev"))
FUNASR = Environment(
    "funasr",
    sync=("--package", "rapl-sensevoice", "--no-dev"),
    installer=ROOT / "sensevoice-service" / "install-runtime",
)
"""The same with torch and FunASR: what `prepare-model` and the runtime `funasr` need."""
MLX = Environment("mlx", sync=("--package", "rapl-mlx", "--extra", "engine", "--no-dev"))
