"""Whether SenseVoice's files are those that were downloaded. The engine's own package reads every byte of them."""

import json
import subprocess
from collections.abc import Iterator

from rapl_cli.checks.check import Check, Scene
from rapl_cli.fleet.environments import FUNASR, SENSEVOICE
from rapl_cli.fleet.service_urls import service_urls

_NAME = "model files"
_LIMIT_S = 120


def model_files(scene: Scene) -> Iterator[Check]:
    if not service_urls(scene.ports, scene.environ)["sensevoice-service"].is_ours:
        return
    python = next((each.python for each in (SENSEVOICE, FUNASR) if each.python.exists()), None)
    if python is None:
        yield Check.skipped(_NAME, "sensevoice-service was not started here without Docker yet")
        return
    command = [str(python), "-m", "rapl_sensevoice.check_weights"]
    try:
        ended = subprocess.run(command, env=scene.environ, capture_output=True, text=True, timeout=_LIMIT_S)
        found = json.loads(ended.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        yield Check.warning(_NAME, "they could not be checked", "Start sensevoice-service: its log has the reason.")
        return
    if found["state"] is None:
        yield Check.ok(_NAME, f"{found['model']}: every file has the right size and hash")
    elif found["state"] == "failed":
        yield Check.warning(_NAME, f"{found['model']}: {found['reason']}", found["remedy"])
    else:
        yield Check.skipped(_NAME, f"{found['model']}: {found['reason']}")
