"""A second node of the Swarm on this machine: another Docker Engine in a network of its own. It needs root."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from containers import docker
from services import until

NAMESPACE, OUTSIDE, INSIDE = "rapl-node", "rapl-node-out", "rapl-node-in"
FIRST_ADDRESS, SECOND_ADDRESS = "10.77.0.1", "10.77.0.2"
LOAD_LIMIT_S = 600


@dataclass(frozen=True)
class Node:
    socket: str
    """The address of its engine."""
    id: str
    """Its id in the swarm."""

    def lose(self) -> None:
        """Cuts its network, as a power failure or a broken switch does, and waits until the swarm has noticed."""
        run("ip", "link", "set", OUTSIDE, "down")
        state = ("node", "inspect", "--format", "{{.Status.State}}", self.id)
        until("the swarm has noticed the loss", lambda: docker(*state).strip() == "down")


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=60)


@contextmanager
def network_of_two() -> Iterator[None]:
    """A namespace with a cable to this machine, which has FIRST_ADDRESS at the other end."""
    inside = ("ip", "-n", NAMESPACE)
    run("ip", "netns", "add", NAMESPACE)
    try:
        run("ip", "link", "add", OUTSIDE, "type", "veth", "peer", "name", INSIDE, "netns", NAMESPACE)
        run("ip", "address", "add", f"{FIRST_ADDRESS}/24", "dev", OUTSIDE)
        run("ip", "link", "set", OUTSIDE, "up")
        run(*inside, "address", "add", f"{SECOND_ADDRESS}/24", "dev", INSIDE)
        run(*inside, "link", "set", INSIDE, "up")
        run(*inside, "link", "set", "lo", "up")
        run(*inside, "route", "add", "default", "via", FIRST_ADDRESS)
        yield
    finally:
        subprocess.run(["ip", "link", "delete", OUTSIDE], capture_output=True)  # with the namespace it may be gone
        run("ip", "netns", "delete", NAMESPACE)


@contextmanager
def second_node(images: Sequence[str]) -> Iterator[Node]:
    """A worker of this machine's swarm, which has these images. The swarm must use FIRST_ADDRESS."""
    folder = Path(tempfile.mkdtemp(prefix="rapl-node-"))
    socket = f"unix://{folder}/socket"
    # Not `ip netns exec`: that hides the control groups, without which no engine starts.
    command = ["nsenter", f"--net=/run/netns/{NAMESPACE}", "dockerd", "--host", socket, "--pidfile", f"{folder}/pid"]
    command += ["--data-root", f"{folder}/data", "--exec-root", f"{folder}/run"]
    with (folder / "log").open("ab") as log:
        engine = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        until("the second engine runs", lambda: _answers(socket))
        for image in images:
            copy = f"docker save {image} | docker --host {socket} load"
            subprocess.run(copy, shell=True, check=True, capture_output=True, timeout=LOAD_LIMIT_S)
        token = docker("swarm", "join-token", "--quiet", "worker").strip()
        join = ("swarm", "join", "--token", token, "--advertise-addr", SECOND_ADDRESS, f"{FIRST_ADDRESS}:2377")
        docker("--host", socket, *join)
        yield Node(socket, docker("--host", socket, "info", "--format", "{{.Swarm.NodeID}}").strip())
    finally:
        subprocess.run(["docker", "--host", socket, "swarm", "leave", "--force"], capture_output=True, timeout=120)
        engine.send_signal(signal.SIGTERM)
        engine.wait(120)
        time.sleep(1)  # its mounts end
        shutil.rmtree(folder, ignore_errors=True)


def _answers(socket: str) -> bool:
    path = socket.removeprefix("unix://")
    if not os.path.exists(path):
        return False
    return subprocess.run(["docker", "--host", socket, "info"], capture_output=True).returncode == 0
