"""The MLX engine as a macOS LaunchAgent. It starts at login, and restarts after a crash."""

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
_COPIED = re.compile(r"RAPL_MLX_\w+|RAPL_MODEL_TTL|HF_\w+|HTTPS?_PROXY|NO_PROXY|SSL_CERT_FILE")
"""Variables that `install` copies into the plist. Variables that are set later do not reach the engine."""
_PATH = "/opt/homebrew/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
"""PATH of the job: launchd's default does not include Homebrew.

Source: https://github.com/basnijholt/agent-cli/issues/481
"""
_STOP_S = 40
"""After SIGTERM the service finishes its running requests within 30 s."""
_ATTEMPTS, _PAUSE_S = 10, 0.5
"""`bootout` returns before the job has ended. Until then `bootstrap` fails with an input/output error."""


class LaunchAgentError(Exception):
    """launchctl failed; the message has its output."""


@dataclass(frozen=True)
class LaunchAgent:
    home: Path
    """The user's home folder."""
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
        """The content of the plist. Source: `man launchd.plist`."""
        copied = {name: value for name, value in environ.items() if _COPIED.fullmatch(name)}
        wrapper = [sys.executable, "-m", "rapl_cli.rotating_log", str(self.log)]
        early_log = str(self.log.with_name("launchd.log"))
        return {
            "Label": LABEL,
            "ProgramArguments": [*wrapper, *program.command],
            "WorkingDirectory": str(ROOT),
            "EnvironmentVariables": {"PATH": _PATH, **copied, **program.environ},
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": 10,
            # With "Background", the default, 87 tokens a second became 11. Source: dryvist/nix-ai issue 916.
            "ProcessType": "Interactive",
            "ExitTimeOut": _STOP_S,
            # These files get only the errors that occur before the log is open.
            "StandardOutPath": early_log,
            "StandardErrorPath": early_log,
        }

    def install(self, program: Program, environ: Mapping[str, str]) -> None:
        """Writes the plist, readable by its owner only since it may contain tokens, and (re)starts the job.

        Raises:
            LaunchAgentError: launchd rejects it.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.plist.parent.mkdir(parents=True, exist_ok=True)
        content = plistlib.dumps(self.description(program, environ))
        self.plist.unlink(missing_ok=True)
        descriptor = os.open(self.plist, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        self._launchctl("bootout", f"{self._domain}/{LABEL}")
        error = ""
        for _ in range(_ATTEMPTS):
            result = self._launchctl("bootstrap", self._domain, str(self.plist))
            if not result.returncode:
                return
            error = result.stderr.strip()
            time.sleep(_PAUSE_S)
        raise LaunchAgentError(f"launchctl bootstrap failed: {error}")

    def uninstall(self) -> bool:
        """Stops the job and removes the plist; keeps the log. Returns False if nothing was installed."""
        was_loaded = not self._launchctl("bootout", f"{self._domain}/{LABEL}").returncode
        was_there = self.plist.exists()
        self.plist.unlink(missing_ok=True)
        return was_loaded or was_there

    def status(self) -> dict[str, str] | None:
        """Returns launchd's `state`, `pid` and `last exit code` of the job, if known; None if it is not installed."""
        result = self._launchctl("print", f"{self._domain}/{LABEL}")
        if result.returncode:
            return None
        fields = dict(re.findall(r"^\t(state|pid|last exit code) = (.*)$", result.stdout, re.MULTILINE))
        return {name: value.strip() for name, value in fields.items()}

    @property
    def _domain(self) -> str:
        return f"gui/{self.user_id}"

    def _launchctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["launchctl", *arguments], capture_output=True, text=True, timeout=60)
