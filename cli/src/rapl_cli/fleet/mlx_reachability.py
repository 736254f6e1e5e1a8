"""Finds out why a gateway, perhaps in a container, cannot reach mlx-service on the host, and how to fix it."""

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from enum import StrEnum

import httpx
from rapl_service.calls.remedies import START_MLX

from rapl_cli.checkout import ROOT


class Probe(StrEnum):
    """The result of a request to mlx-service. The program in the container prints the value."""

    OK = "ok"
    NOT_LISTENING = "not listening"
    UNKNOWN_HOST = "unknown host"
    NO_ANSWER = "no answer"
    HOST_REFUSED = "host refused"
    """403: mlx-service does not accept the host name in the URL."""
    TOKEN_REFUSED = "token refused"


# Runs in the gateway's container, with the gateway's environment, and prints a value of Probe.
_PROBE_PROGRAM = """
import os, socket, urllib.error, urllib.request
token = os.environ.get("RAPL_MLX_TOKEN")
headers = {"authorization": "Bearer " + token} if token else {}
urls = os.environ.get("RAPL_MLX_URL") or "http://127.0.0.1:8030"  # several are separated by commas
url = urls.split(",")[0].strip().rstrip("/") + "/v1/models"
try:
    urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5)
    print("ok")
except urllib.error.HTTPError as error:
    print({403: "host refused", 401: "token refused"}.get(error.code, "no answer"))
except urllib.error.URLError as error:
    match error.reason:
        case socket.gaierror(): print("unknown host")
        case ConnectionRefusedError(): print("not listening")
        case _: print("no answer")
except OSError:
    print("no answer")
"""

_KEEP_RUNNING = "`./rapl mlx install` keeps it running."
_TOKEN = "The gateway's RAPL_MLX_TOKEN differs from mlx-service's. Set the same token for both and restart both."
_NAME = "mlx-service refuses the host name in the gateway's RAPL_MLX_URL. Add the name to RAPL_MLX_ALLOWED_HOSTS."
_LOOPBACK_ON_LINUX = (
    "On Linux a container cannot reach the host's 127.0.0.1. Set RAPL_MLX_TOKEN for both, and for mlx-service set "
    "RAPL_MLX_HOST to the bridge's address (`docker network inspect bridge`, usually 172.17.0.1). Then restart both."
)
_LOOPBACK_ON_MAC = (
    "This container runtime does not forward to the Mac's 127.0.0.1. Set RAPL_MLX_TOKEN for both, set "
    "RAPL_MLX_HOST=0.0.0.0 for mlx-service, and allow it in the firewall. Then restart both."
)


@dataclass(frozen=True)
class Finding:
    is_ok: bool
    message: str


def is_apple_silicon() -> bool:
    """Whether this is the machine that mlx-service is for."""
    return (platform.system(), platform.machine()) == ("Darwin", "arm64")


def is_expected_here() -> bool:
    """Whether mlx-service should run: this is the machine for it, or RAPL_MLX_URL says where it is."""
    return is_apple_silicon() or bool(os.environ.get("RAPL_MLX_URL"))


def bearer() -> dict[str, str]:
    """The header with mlx-service's token, if RAPL_MLX_TOKEN is set."""
    token = os.environ.get("RAPL_MLX_TOKEN")
    return {"authorization": f"Bearer {token}"} if token else {}


def probe_from_host(url: str) -> Probe:
    """Calls mlx-service from this machine."""
    try:
        answer = httpx.get(f"{url}/v1/models", headers=bearer(), timeout=5, trust_env=False)
    except httpx.ConnectError:
        return Probe.NOT_LISTENING
    except httpx.HTTPError:
        return Probe.NO_ANSWER
    results = {200: Probe.OK, 403: Probe.HOST_REFUSED, 401: Probe.TOKEN_REFUSED}
    return results.get(answer.status_code, Probe.NO_ANSWER)


def probe_from_container() -> Probe | None:
    """Calls mlx-service from the gateway's container; None if there is no such container."""
    if not shutil.which("docker"):
        return None
    compose = ["docker", "compose", "-f", str(ROOT / "docker-compose.yml")]
    command = [*compose, "exec", "-T", "gateway", "python", "-c", _PROBE_PROGRAM]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)
    return Probe(result.stdout.strip()) if result.returncode == 0 else None


def explain(
    host: Probe, container: Probe | None, *, gateway_error: str | None, system: str = platform.system()
) -> Finding:
    """Returns whether the gateway reaches mlx-service; if not, the cause and the fix.

    Args:
        host: the probe from this machine.
        container: the probe from the gateway's container, if there is one.
        gateway_error: why the gateway cannot reach mlx-service (perhaps at another URL); None if it can.
        system: the operating system, in the form of `platform.system()`.
    """
    if gateway_error is None:
        return Finding(True, "the gateway reaches it")
    if "token" in gateway_error.lower():
        return Finding(False, f"it refused the gateway's request. {_TOKEN}")
    if "RAPL_MLX_ALLOWED_HOSTS" in gateway_error:
        return Finding(False, _NAME)
    if host is Probe.NOT_LISTENING:
        keep_running = f" {_KEEP_RUNNING}" if system == "Darwin" else ""
        return Finding(False, f"it does not run on this machine. {START_MLX}{keep_running}")
    if host is Probe.NO_ANSWER:
        where = "See its log with `./rapl mlx logs`." if system == "Darwin" else "Look at its log."
        return Finding(False, f"it runs but does not answer. {where}")
    if container is None:
        if host is Probe.TOKEN_REFUSED:
            return Finding(False, f"it requires a token. {_TOKEN}")
        return Finding(False, "it runs here, but the gateway calls another address. Check the gateway's RAPL_MLX_URL.")
    return _explain_container(container, system)


def _explain_container(container: Probe, system: str) -> Finding:
    match container:
        case Probe.OK:
            return Finding(True, "the gateway's container reaches it; the gateway will use it within seconds")
        case Probe.HOST_REFUSED:
            return Finding(False, _NAME)
        case Probe.TOKEN_REFUSED:
            return Finding(False, f"it refused the gateway's request. {_TOKEN}")
        case Probe.UNKNOWN_HOST if system == "Linux":
            fix = "Start with `docker compose -f docker-compose.yml -f docker-compose.linux.yml up`."
            return Finding(False, f"the gateway's container cannot resolve host.docker.internal. {fix}")
        case Probe.UNKNOWN_HOST:
            fix = "Update the container runtime, or set RAPL_MLX_URL to an address of this Mac."
            return Finding(False, f"the gateway's container cannot resolve host.docker.internal. {fix}")
        case _:
            fix = _LOOPBACK_ON_LINUX if system == "Linux" else _LOOPBACK_ON_MAC
            return Finding(False, f"it runs here, but the gateway's container cannot reach it. {fix}")
