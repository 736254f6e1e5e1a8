"""The MLX engine as a LaunchAgent of macOS: it runs from login on, and starts again when it dies."""

import os
import plistlib
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rapl_cli.checkout import ROOT
from rapl_cli.fleet.programs import Program

LABEL = "dev.rapl.mlx"
_PASSED_ON = re.compile(r"RAPL_MLX_\w+|RAPL_MODEL_TTL|HF_\w+|HTTPS?_PROXY|NO_PROXY|SSL_CERT_FILE")
"""Variables that are kept as they are when it is installed; later ones in a terminal do not reach it."""
_PATH = "/opt/homebrew/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
"""launchd's own has no Homebrew. Source: https://github.com/basnijholt/agent-cli/issues/481"""
_STOP_S = 40
"""The service finishes what it has begun within 30 s of being told to stop."""
_ATTEMPTS, _PAUSE_S = 10, 0.5
"""`bootout` returns before the job has gone, and until then `bootstrap` fails with an input/output error."""


class LaunchAgentError(Exception):
    """launchctl did not do what it was told; the message has its words."""


@dataclass(frozen=True)
class LaunchAgent:
    home: Path
    """Of the user for whom it runs."""
    user_id: int

    @classmethod
    def mine(cls) -> "LaunchAgent":
        return cls(Path.home(), os.getuid())

    @property
    def plist(self) -> Path:
        return self.home / "Library" / "LaunchAgents" / f"{LABEL}.plist"

    @property
    def log(self) -> Path:
        return self.home / "Library" / "Logs" / "rapl" / "mlx.log"

    def description(self, program: Program, environ: Mapping[str, str]) -> dict[str, Any]:
        """What launchd is told. Source: `man launchd.plist`."""
        passed_on = {name: value for name, value in environ.items() if _PASSED_ON.fullmatch(name)}
        wrapper = [sys.executable, "-m", "rapl_cli.rotating_log", str(self.log)]
        early_log = str(self.log.with_name("launchd.log"))
        return {
            "Label": LABEL,
            "ProgramArguments": [*wrapper, *program.command],
            "WorkingDirectory": str(ROOT),
            "EnvironmentVariables": {"PATH": _PATH, **passed_on, **program.environ},
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": 10,
            # As "Background", the default, 87 tokens a second became 11. Source: dryvist/nix-ai issue 916.
            "ProcessType": "Interactive",
            "ExitTimeOut": _STOP_S,
            # Only what goes wrong before the log is open.
            "StandardOutPath": early_log,
            "StandardErrorPath": early_log,
        }

    def install(self, program: Program, environ: Mapping[str, str]) -> None:
        """Writes the plist, readable for its owner alone since it may hold tokens, and starts the job anew.

        Raises:
            LaunchAgentError: launchd does not take it.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.plist.parent.mkdir(parents=True, exist_ok=True)
        content = plistlib.dumps(self.description(program, environ))
        self.plist.unlink(missing_ok=True)
        descriptor = os.open(self.plist, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        self._launchctl("bootout", f"{self._domain}/{LABEL}")
        said = ""
        for _ in range(_ATTEMPTS):
            ended = self._launchctl("bootstrap", self._domain, str(self.plist))
            if not ended.returncode:
                return
            said = ended.stderr.strip()
            time.sleep(_PAUSE_S)
        raise LaunchAgentError(f"launchctl bootstrap failed: {said}")

    def uninstall(self) -> bool:
        """Ends the job and removes the plist; the log stays. Returns whether there was anything."""
        was_loaded = not self._launchctl("bootout", f"{self._domain}/{LABEL}").returncode
        was_there = self.plist.exists()
        self.plist.unlink(missing_ok=True)
        return was_loaded or was_there

    def status(self) -> dict[str, str] | None:
        """What launchd says of the job: `state`, `pid`, `last exit code`, as far as it does; None if it knows none."""
        ended = self._launchctl("print", f"{self._domain}/{LABEL}")
        if ended.returncode:
            return None
        said = dict(re.findall(r"^\t(state|pid|last exit code) = (.*)$", ended.stdout, re.MULTILINE))
        return {name: value.strip() for name, value in said.items()}

    @property
    def _domain(self) -> str:
        return f"gui/{self.user_id}"

    def _launchctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["launchctl", *arguments], capture_output=True, text=True, timeout=60)
