"""`rapl mlx`: runs the MLX engine on this machine, in the terminal or as a LaunchAgent."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import httpx

from rapl_cli.checkout import MACHINE_CHECK
from rapl_cli.errors import report
from rapl_cli.fleet import programs
from rapl_cli.fleet.launch_agent import LaunchAgent, LaunchAgentError
from rapl_cli.fleet.mlx_reachability import bearer
from rapl_cli.fleet.ports import Ports

_TAIL_LINES = "200"


def mlx(action: str, *, follow: bool = False) -> int:
    if action in ("run", "install") and not _is_supported():
        return 1
    if action == "run":
        _run()
    if platform.system() != "Darwin":
        reason = "LaunchAgents exist on macOS only. Here, run `./rapl mlx` under systemd or Docker to keep it running."
        report(reason)
        return 1
    return act(action, LaunchAgent.mine(), Ports.from_environment(), follow=follow)


def act(action: str, agent: LaunchAgent, ports: Ports, *, follow: bool = False) -> int:
    match action:
        case "install":
            return _install(agent, ports)
        case "uninstall":
            print("removed" if agent.uninstall() else "it was not installed")
            return 0
        case "status":
            return _status(agent, ports)
        case _:
            return _logs(agent.log, follow=follow)


def _is_supported() -> bool:
    """Returns whether MLX can run here, and prints a reason or a warning. It runs before anything is installed."""
    checked = subprocess.run([sys.executable, str(MACHINE_CHECK)], capture_output=True, text=True, timeout=60)
    if checked.returncode:
        report(checked.stderr.strip())
        return False
    if platform.system() == "Linux":
        reason = "on Linux MLX runs on the CPU, without a GPU: fine for a test, too slow for real use"
        report(reason)
    return True


def _run() -> None:
    program = programs.mlx(Ports.from_environment())
    os.execve(program.command[0], program.command, {**os.environ, **program.environ})


def _install(agent: LaunchAgent, ports: Ports) -> int:
    try:
        agent.install(programs.mlx(ports), os.environ)
    except LaunchAgentError as error:
        report(error)
        return 1
    print(
        f"mlx-service runs now and starts at each login ({agent.plist}).\n"
        f"Check it with `./rapl mlx status`. Log: {agent.log}"
    )
    return 0


def _status(agent: LaunchAgent, ports: Ports) -> int:
    job = agent.status()
    if job is None:
        print("LaunchAgent: not installed (`./rapl mlx install`)")
    else:
        print("LaunchAgent: " + ", ".join(f"{name} {value}" for name, value in job.items()))
    url = f"http://127.0.0.1:{ports.mlx}"
    try:
        answer = httpx.get(f"{url}/v1/models", headers=bearer(), timeout=5, trust_env=False)
    except httpx.HTTPError as error:
        print(f"mlx-service: no answer at {url} ({type(error).__name__}). See `./rapl mlx logs`")
        return 1
    if answer.is_error:
        print(f"mlx-service: {answer.json()['error']['message']}")
        return 1
    for model in answer.json()["models"]:
        print("  ".join(part for part in (model["id"], model["state"], model["reason"], model["remedy"]) if part))
    return 0


def _logs(log: Path, *, follow: bool) -> int:
    if not log.exists():
        report(f"no log yet at {log}")
        return 1
    arguments = ["-F", str(log)] if follow else [str(log)]
    return subprocess.run(["tail", "-n", _TAIL_LINES, *arguments]).returncode
