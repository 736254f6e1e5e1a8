"""Docker and its Compose, which `docker compose up` needs and `rapl up` does not."""

import re
import shutil
import subprocess

from rapl_cli.checks.check import Check, Scene

OLDEST_COMPOSE = (2, 24)
"""The oldest Compose whose files may name files that need not exist (`required: false`).
Source: https://docs.docker.com/compose/how-tos/environment-variables/set-environment-variables/"""
_LIMIT_S = 10
_ONLY_NEEDED_FOR = "only `docker compose up` needs it"


def docker(scene: Scene) -> Check:
    if not shutil.which("docker"):
        return Check.skipped("docker", f"not installed; {_ONLY_NEEDED_FOR}")
    code, version = _output("docker", "version", "--format", "{{.Server.Version}}")
    if code != 0 or not version:
        text = f"installed, but its engine does not answer; {_ONLY_NEEDED_FOR}"
        return Check.warning("docker", text, _start_docker(scene))
    return Check.ok("docker", f"engine {version}")


def _start_docker(scene: Scene) -> str:
    if scene.system == "Darwin":
        return "Start Docker Desktop, OrbStack or Colima."
    start = "Run `systemctl start docker` as root" if shutil.which("systemctl") else "Start the Docker engine as root"
    return f"{start}. To use it you must be root or in the group docker."


def compose(scene: Scene) -> Check:
    if not shutil.which("docker"):
        return Check.skipped("compose", f"Docker is not installed; {_ONLY_NEEDED_FOR}")
    code, text = _output("docker", "compose", "version", "--short")
    needed = ".".join(map(str, OLDEST_COMPOSE))
    remedy = f"Update Docker, or its package docker-compose-plugin, to Compose {needed} or newer."
    if code != 0:
        what = "`docker-compose` is Compose 1, which is too old" if shutil.which("docker-compose") else "not installed"
        return Check.warning("compose", f"{what}; {_ONLY_NEEDED_FOR}", remedy)
    found = re.match(r"v?(\d+)\.(\d+)", text)
    if found and (int(found[1]), int(found[2])) < OLDEST_COMPOSE:
        return Check.warning("compose", f"version {text} is too old; {_ONLY_NEEDED_FOR}", remedy)
    return Check.ok("compose", f"version {text}")


def _output(*command: str) -> tuple[int, str]:
    """The exit code and the first line of the output."""
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S)
    except (OSError, subprocess.TimeoutExpired):
        return 1, ""
    return ended.returncode, (ended.stdout.strip().splitlines() or [""])[0]
