"""The stack of `deploy/swarm` on this machine's engine, as a Swarm of one node with the self-test model.

It builds the images of the checkout. What it made it also removes; a Swarm that was there before stays.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from containers import BASE_IMAGE, BUILD_LIMIT_S, docker
from services import ROOT, SELFTEST, until
from swarm_node import FIRST_ADDRESS, Node, network_of_two, second_node

FOLDER = ROOT / "deploy" / "swarm"
STACK, VERSION = "rapl-trial", "trial"
SERVICES = ("gateway", "preprocess-service", "sensevoice-service")
CADDY = "caddy:2"
KEYS = {"modest": "a-key-of-modest-appetite", "greedy": "a-key-of-great-appetite"}
READY_LIMIT_S, UPDATE_LIMIT_S = 240.0, 600.0
ENCRYPTED = 'driver_opts: { encrypted: "" } # between nodes'
CHANGES = """
services:
  gateway:
    environment: { RAPL_DEFAULT_MODEL: rapl/selftest }
    deploy: { placement: { constraints: [node.role == manager] } }
  prepare-model: { deploy: { placement: { constraints: [node.labels.rapl.never == true] } } }
"""
"""Nothing is downloaded: the self-test model is in the image. The gateways are not on the node that may be lost: what a
gateway has accepted is lost with it."""
CADDY_IMAGE = f"""
FROM {BASE_IMAGE}
COPY caddy /usr/bin/caddy
ENV XDG_DATA_HOME=/data XDG_CONFIG_HOME=/config
CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
"""
"""For a machine that does not have Caddy's own image: Debian's Caddy."""


def service(name: str) -> str:
    return f"{STACK}_{name}"


def tasks(name: str) -> list[str]:
    """Returns the ids of the containers of a service that run now on the first node."""
    label = f"label=com.docker.swarm.service.name={service(name)}"
    return docker("ps", "--quiet", "--filter", label).split()


def wait_for_replicas(name: str, count: int) -> None:
    """Waits until so many tasks are healthy and no others run."""

    def is_so() -> bool:
        shown = docker("service", "ls", "--filter", f"name={service(name)}", "--format", "{{.Replicas}}").split()[0]
        running = docker("service", "ps", "--quiet", "--filter", "desired-state=running", service(name)).split()
        return shown == f"{count}/{count}" and len(running) == count

    until(f"{name} has {count} healthy tasks", is_so, READY_LIMIT_S)


def scale(name: str, count: int) -> None:
    docker("service", "scale", "--detach", f"{service(name)}={count}")
    wait_for_replicas(name, count)


def update(name: str, *options: str) -> None:
    """Replaces every task of a service, as an upgrade does, and waits for the end.

    Raises:
        AssertionError: the update failed or was rolled back.
    """
    before = _update_status(name)
    docker("service", "update", "--force", "--detach", *options, service(name))
    until(f"the update of {name} has begun", lambda: _update_status(name)["StartedAt"] != before["StartedAt"])
    until(f"the update of {name} has ended", lambda: _update_status(name)["State"] != "updating", UPDATE_LIMIT_S)
    assert _update_status(name)["State"] == "completed", _update_status(name)
    replicas = int(docker("service", "inspect", "--format", "{{.Spec.Mode.Replicated.Replicas}}", service(name)))
    until(f"the old tasks of {name} have ended", lambda: len(tasks(name)) <= replicas, UPDATE_LIMIT_S)


def _update_status(name: str) -> dict[str, str]:
    never = {"StartedAt": "", "State": ""}
    return never | json.loads(docker("service", "inspect", service(name)))[0].get("UpdateStatus", {})


def log_lines_of(name: str, text: str) -> list[int]:
    """Returns for each task that runs how many lines of its log have this text."""
    logs = [docker("logs", each, with_stderr=True) for each in tasks(name)]
    return [log.count(text) for log in logs]


@dataclass(frozen=True)
class Stack:
    url: str
    second: Node | None
    """The second node, if there is one."""


@contextmanager
def running_stack(port: int, engines: int, *, has_second_node: bool = False) -> Iterator[Stack]:
    """Deploys the stack and waits until every service is healthy.

    Args:
        port: the published port.
        engines: how many tasks of sensevoice-service. Each may use one CPU.
        has_second_node: whether the swarm has a second node, for engines and preprocess-service.
    """
    os.environ |= {
        "RAPL_VERSION": VERSION,
        "RAPL_SITE": "http://:80",
        "RAPL_HTTP_PORT": str(port),
        "RAPL_HTTPS_PORT": str(port + 1),
        "RAPL_READY_MODEL": SELFTEST,
        "RAPL_SENSEVOICE_REPLICAS": str(engines),
        "RAPL_SENSEVOICE_CPUS": "1",
        "RAPL_SENSEVOICE_RESERVED_CPUS": "0.1",
        "RAPL_KEYS_VERSION": VERSION,
        "RAPL_CATALOG_VERSION": VERSION,
        "RAPL_CADDYFILE_VERSION": VERSION,
    }
    with ExitStack() as stack:
        stack.enter_context(_images())
        second = None
        if has_second_node:
            stack.enter_context(network_of_two())
        stack.enter_context(_swarm(FIRST_ADDRESS if has_second_node else "127.0.0.1"))
        if has_second_node:
            second = stack.enter_context(second_node([f"rapl/{name}:{VERSION}" for name in SERVICES[1:]]))
            _label(second.id, "rapl.engine")
        stack.enter_context(_secret())
        stack.callback(_remove_stack)
        _deploy(Path(stack.enter_context(tempfile.TemporaryDirectory())), is_encrypted=not has_second_node)
        for name, count in {"caddy": 1, "gateway": 2, "preprocess-service": 2, "sensevoice-service": engines}.items():
            wait_for_replicas(name, count)
        yield Stack(f"http://127.0.0.1:{port}", second)


def _deploy(folder: Path, *, is_encrypted: bool) -> None:
    """Deploys a copy of the stack.

    Args:
        folder: for the copy.
        is_encrypted: whether the networks between the nodes are; that needs IPsec in the kernel.
    """
    shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
    content = (folder / "stack.yml").read_text()
    assert ENCRYPTED in content
    (folder / "stack.yml").write_text(content if is_encrypted else content.replace(ENCRYPTED, ""))
    (folder / "changes.yml").write_text(CHANGES)
    files = [part for name in ("stack.yml", "changes.yml") for part in ("--compose-file", str(folder / name))]
    docker("stack", "deploy", *files, STACK)


@contextmanager
def _images() -> Iterator[None]:
    made = [f"rapl/{name}:{VERSION}" for name in SERVICES]
    for name, image in zip(SERVICES, made, strict=True):
        docker("build", "--target", name, "--tag", image, str(ROOT), limit_s=BUILD_LIMIT_S)
    if not docker("images", "--quiet", CADDY):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(shutil.which("caddy") or "", Path(folder) / "caddy")
            (Path(folder) / "Dockerfile").write_text(CADDY_IMAGE)
            docker("build", "--tag", CADDY, folder, limit_s=300)
        made.append(CADDY)
    try:
        yield
    finally:
        until("the tasks have ended", lambda: not any(map(tasks, ("caddy", *SERVICES))))
        docker("rmi", "--force", *made)


@contextmanager
def _swarm(address: str) -> Iterator[None]:
    """Makes this machine's engine a swarm, unless it is one."""
    was_there = docker("info", "--format", "{{.Swarm.LocalNodeState}}").strip() == "active"
    if not was_there:
        docker("swarm", "init", "--advertise-addr", address)
    node = docker("info", "--format", "{{.Swarm.NodeID}}").strip()
    _label(node, "rapl.engine", "rapl.edge")
    try:
        yield
    finally:
        if not was_there:
            docker("swarm", "leave", "--force")


def _label(node: str, *labels: str) -> None:
    docker("node", "update", *(part for label in labels for part in ("--label-add", f"{label}=true")), node)


@contextmanager
def _secret() -> Iterator[None]:
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("\n".join(KEYS.values()))
        file.flush()
        docker("secret", "create", f"rapl-keys-{VERSION}", file.name)
    try:
        yield
    finally:
        docker("secret", "rm", f"rapl-keys-{VERSION}")


def _remove_stack() -> None:
    """Ends the tasks at once and removes what belongs to the stack, the volumes too."""
    docker("stack", "rm", STACK)
    label = f"label=com.docker.stack.namespace={STACK}"
    until("the tasks have ended", lambda: not docker("ps", "--quiet", "--all", "--filter", label))
    if volumes := docker("volume", "ls", "--quiet", "--filter", label).split():
        docker("volume", "rm", *volumes)
