"""What stands between a gateway, perhaps in a container, and mlx-service on the host, and how to mend it."""

import platform
import shutil
import subprocess
from dataclasses import dataclass

import httpx

from rapl_cli.checkout import ROOT
from rapl_cli.mlx import bearer

NOTHING = "nothing listens"
NO_SUCH_NAME = "no such name"
NO_ANSWER = "no answer"
OTHER_NAME = "refused name"
OTHER_TOKEN = "refused token"
WELL = "well"

# Runs in the gateway's container, with the gateway's own settings. It prints one of the words above.
_PROBE = """
import os, socket, urllib.error, urllib.request
token = os.environ.get("RAPL_MLX_TOKEN")
headers = {"authorization": "Bearer " + token} if token else {}
urls = os.environ.get("RAPL_MLX_URL") or "http://127.0.0.1:8030"  # by commas, where there are several
url = urls.split(",")[0].strip().rstrip("/") + "/v1/models"
try:
    urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5)
    print("well")
except urllib.error.HTTPError as error:
    print({403: "refused name", 401: "refused token"}.get(error.code, "no answer"))
except urllib.error.URLError as error:
    match error.reason:
        case socket.gaierror(): print("no such name")
        case ConnectionRefusedError(): print("nothing listens")
        case _: print("no answer")
except OSError:
    print("no answer")
"""

_START = "Start it with `./rapl mlx`, or `./rapl mlx install` to keep it running."
_TOKEN = "The gateway's RAPL_MLX_TOKEN is not mlx-service's. Give both the same one and start them again."
_NAME = "it does not take the name in the gateway's RAPL_MLX_URL. Add it to RAPL_MLX_ALLOWED_HOSTS."
_LOOPBACK_ON_LINUX = (
    "On Linux a container cannot reach the host's 127.0.0.1. Set RAPL_MLX_TOKEN for both, and RAPL_MLX_HOST to the "
    "bridge's address (`docker network inspect bridge`, mostly 172.17.0.1) for mlx-service; then start both again."
)
_LOOPBACK_ON_MAC = (
    "This container runtime does not forward to the Mac's 127.0.0.1. Set RAPL_MLX_TOKEN for both, and "
    "RAPL_MLX_HOST=0.0.0.0 for mlx-service; allow it in the firewall; then start both again."
)


@dataclass(frozen=True)
class Finding:
    is_ok: bool
    message: str


def probe_from_host(url: str) -> str:
    """What this machine itself finds at mlx-service's URL, in the words above."""
    try:
        answer = httpx.get(f"{url}/v1/models", headers=bearer(), timeout=5)
    except httpx.ConnectError:
        return NOTHING
    except httpx.HTTPError:
        return NO_ANSWER
    return {200: WELL, 403: OTHER_NAME, 401: OTHER_TOKEN}.get(answer.status_code, NO_ANSWER)


def probe_from_container() -> str | None:
    """What the gateway's container finds, in the words above; None where there is no such container."""
    if not shutil.which("docker"):
        return None
    compose = ["docker", "compose", "-f", str(ROOT / "docker-compose.yml")]
    command = [*compose, "exec", "-T", "gateway", "python", "-c", _PROBE]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)
    return ended.stdout.strip() if ended.returncode == 0 else None


def explain(host: str, container: str | None, *, gateway_says: str | None, system: str = platform.system()) -> Finding:
    """The findings as a sentence, with the remedy.

    Args:
        host: what this machine found.
        container: what the gateway's container found, if there is one.
        gateway_says: why the gateway cannot reach it, which may look elsewhere; None where it can.
        system: as `platform.system()`.
    """
    if gateway_says is None:
        return Finding(True, "the gateway reaches it")
    if "RAPL_MLX_TOKEN" in gateway_says:
        return Finding(False, f"the gateway was refused. {_TOKEN}")
    if "RAPL_MLX_ALLOWED_HOSTS" in gateway_says:
        return Finding(False, _NAME)
    if host == NOTHING:
        return Finding(False, f"nothing listens for it on this machine. {_START}")
    if host == NO_ANSWER:
        return Finding(False, "it is there and does not answer; look at its log (`./rapl mlx logs`)")
    match container:
        case None if host == OTHER_TOKEN:
            return Finding(False, f"it wants its token. {_TOKEN}")
        case None:
            return Finding(False, "it answers here, but not to the gateway. Set the gateway's RAPL_MLX_URL to it.")
        case "no such name" if system == "Linux":
            remedy = "Start with `docker compose -f docker-compose.yml -f docker-compose.linux.yml up`."
            return Finding(False, f"the gateway's container does not know host.docker.internal. {remedy}")
        case "no such name":
            remedy = "Update the container runtime, or set RAPL_MLX_URL to an address of this Mac."
            return Finding(False, f"the gateway's container does not know host.docker.internal. {remedy}")
        case "refused name":
            return Finding(False, _NAME)
        case "refused token":
            return Finding(False, f"the gateway was refused. {_TOKEN}")
        case "well":
            return Finding(True, "the gateway's container reaches it now; the gateway notices within seconds")
        case _:
            remedy = _LOOPBACK_ON_LINUX if system == "Linux" else _LOOPBACK_ON_MAC
            return Finding(False, f"it answers here, but not to the gateway's container. {remedy}")
