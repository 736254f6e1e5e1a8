"""The ports of the services on this machine: free, ours, or used by another program."""

import errno
import socket

import httpx
import psutil

from rapl_cli.checks.check import Check, Scene
from rapl_cli.fleet.ports import DEFAULT_PORTS, SPEAKERS_PORT, program_on
from rapl_cli.fleet.service_urls import service_urls

_LIMIT_S = 2.0
_SERVICES = {
    "RAPL_PORT": "gateway",
    "RAPL_PREPROCESS_PORT": "preprocess-service",
    "RAPL_SENSEVOICE_PORT": "sensevoice-service",
    "RAPL_MLX_PORT": "mlx-service",
    SPEAKERS_PORT: "speaker-service",
}


def ports(scene: Scene) -> list[Check]:
    if not scene.address.is_local:
        return [Check.skipped("ports", "the gateway is on another machine")]
    urls = service_urls(scene.ports, scene.environ, with_speakers=True)
    elsewhere = {name for name, each in urls.items() if not each.is_ours}
    numbers = (scene.ports.gateway, scene.ports.preprocess, scene.ports.sensevoice, scene.ports.mlx)
    pairs = [*zip(DEFAULT_PORTS, numbers, strict=True)]
    if urls["speaker-service"].chosen or not _is_free(scene.ports.speakers):  # it runs only if it is wanted
        pairs.append((SPEAKERS_PORT, scene.ports.speakers))
    return [_port(scene, port, variable) for variable, port in pairs if _SERVICES[variable] not in elsewhere]


def _port(scene: Scene, port: int, variable: str) -> Check:
    name, service = f"port {port}", _SERVICES[variable]
    if _is_free(port):
        return Check.ok(name, f"free, for {service}")
    program = program_on(port)
    if program and program.pid in _family(scene.supervisor):
        return Check.ok(name, f"{service} of this checkout")
    if _is_service(port, is_tls=variable == "RAPL_PORT" and scene.address.url.startswith("https")):
        return Check.ok(name, f"{service}, which `./rapl up` of this checkout did not start")
    user = program or "another program"
    remedy = f"Stop it, or set {variable} to another port."
    if variable == "RAPL_PORT":
        return Check.failed(name, f"used by {user}, so {service} cannot start", remedy)
    return Check.warning(name, f"used by {user}, so {service} cannot start", remedy)


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


def _family(pid: int | None) -> set[int]:
    """The process and all that it started, directly or not."""
    try:
        return {pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))} if pid else set()
    except psutil.Error:  # it has just ended
        return set()


def _is_service(port: int, *, is_tls: bool) -> bool:
    """Whether a service of RAPL answers there."""
    url = f"{'https' if is_tls else 'http'}://127.0.0.1:{port}/health/live"
    try:
        # Nothing secret is sent, so the certificate does not matter here: the check `certificate` is about it.
        return httpx.get(url, timeout=_LIMIT_S, trust_env=False, verify=False).json() == {"status": "ok"}
    except (httpx.HTTPError, ValueError):
        return False
