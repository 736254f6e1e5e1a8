"""What each container can reach: measured, and compared with the table in docs/docker.md."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from containers import BUILD_LIMIT_S, PROJECT, compose, docker, up, words
from services import ROOT, free_port, until

pytestmark = pytest.mark.docker

OUTSIDE = ("1.1.1.1", 443)
OUTSIDE_NAME = "pypi.org"
CLOSED = "rapl-closed-test"
OVERLAY = ("docker-compose.closed.yml",)
SERVICES = {"preprocess-service": 8010, "sensevoice-service": 8020, "speaker-service": 8040}
PREPARATIONS = ("prepare-model", "prepare-speakers")
PROBE = """
import json, socket, sys
def reaches(host, port):
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True
def resolves(name):
    try:
        return bool(socket.getaddrinfo(name, 443))
    except OSError:
        return False
targets = json.loads(sys.argv[1])
print(json.dumps({what: any(reaches(*each) if each[1] else resolves(each[0]) for each in addresses)
                  for what, addresses in targets.items()}))
"""
"""Prints for each target whether one of its addresses accepts a connection. Port 0: whether the name has an address."""
CONNECTIONS = """
import pathlib
for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
    local, remote, state = line.split()[1:4]
    address, port = remote.split(":")
    if state == "01" and local.split(":")[1] != f"{8000:04X}":
        print(".".join(str(byte) for byte in reversed(bytes.fromhex(address))), int(port, 16))
"""
"""Prints the address and port of each connection that a process of the gateway's container has opened."""


@pytest.fixture(scope="module")
def host_port() -> Iterator[int]:
    """The port of another program on this machine that listens on all addresses."""
    with ThreadingHTTPServer(("0.0.0.0", 0), SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(scope="module")
def speakers(client) -> Iterator[None]:
    """The containers of the profile `speakers` run too."""
    names = ("speaker-service", "prepare-speakers")
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("COMPOSE_PROFILES", "speakers")
        try:
            up("--build", limit_s=BUILD_LIMIT_S)
            yield
        finally:
            compose("rm", "--stop", "--force", *names)


@pytest.fixture(scope="module")
def closed_gateway(client) -> Iterator[int]:
    """A gateway of its own with docker-compose.closed.yml; its published port."""
    port = free_port()
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("RAPL_PORT", str(port))
        try:
            closed("up", "--detach", "--wait", "--no-deps", "gateway")
            yield port
        finally:
            closed("down", "--volumes", "--timeout", "5")


def closed(*arguments: str) -> str:
    return compose(*arguments, overlays=OVERLAY, project=CLOSED)


def targets(host_port: int, bridge_address: str, project: str) -> dict[str, list[tuple[str, int]]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as route:
        route.connect(OUTSIDE)  # sends nothing
        own_address = route.getsockname()[0]
    networks = docker("network", "ls", "--quiet", "--filter", f"label=com.docker.compose.project={project}").split()
    configs = [
        config for each in json.loads(docker("network", "inspect", *networks)) for config in each["IPAM"]["Config"]
    ]
    # Engine 28 reserves no gateway address in an internal network; there it would be the first one.
    gateways = {each.get("Gateway") or re.sub(r"\.0/\d+$", ".1", each["Subnet"]) for each in configs}
    return {
        "the internet": [OUTSIDE],
        "names outside": [(OUTSIDE_NAME, 0)],
        "other programs on the host": [(each, host_port) for each in sorted({*gateways, bridge_address, own_address})],
        "gateway": [("gateway", 8000)],
        **{name: [(name, port)] for name, port in SERVICES.items()},
    }


def probed(service: str, targets: dict, overlays: tuple[str, ...] = (), project: str = PROJECT) -> dict[str, bool]:
    command = ("exec", "-T", service, "python", "-c", PROBE, json.dumps(targets))
    return json.loads(compose(*command, overlays=overlays, project=project))


def documented() -> dict[str, dict[str, bool]]:
    """The table of docs/docker.md: container, then target, then whether it is reached."""
    text = (
        (ROOT / "docs" / "docker.md").read_text().partition("## What each container can reach")[2].partition("\n## ")[0]
    )
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in re.findall(r"^\|.*\|$", text, re.MULTILINE)]
    (_, *containers), _, *lines = rows
    return {
        container.strip("`"): {line[0].strip("`"): line[column] == "yes" for line in lines}
        for column, container in enumerate(containers, start=1)
    }


@pytest.fixture(scope="module")
def reached(speakers, host_port: int, bridge_address: str, closed_gateway: int) -> dict[str, dict[str, bool]]:
    """What each container reaches: container, then target. All at once, because what is closed takes seconds."""
    known = targets(host_port, bridge_address, PROJECT)
    # The closed gateway runs without the other services, so only what lies outside is asked.
    outside = {name: targets(host_port, bridge_address, CLOSED)[name] for name in list(known)[:3]}
    with ThreadPoolExecutor() as pool:
        probes = {name: pool.submit(probed, name, known) for name in ("gateway", *SERVICES, *PREPARATIONS)}
        probes["gateway, closed"] = pool.submit(probed, "gateway", outside, OVERLAY, CLOSED)
        found = {name: probe.result() for name, probe in probes.items()}
    found["gateway, closed"] = found["gateway"] | found["gateway, closed"]
    return found


def test_containers_reach_what_the_table_in_the_documents_says(reached):
    if not outside_is_reached_from_here():
        pytest.skip("this machine itself reaches nothing outside")
    print(*(f"{name}: {table}" for name, table in reached.items()), sep="\n")  # noqa: T201

    assert reached == documented()


def outside_is_reached_from_here() -> bool:
    try:
        socket.create_connection(OUTSIDE, timeout=3).close()
        return bool(socket.getaddrinfo(OUTSIDE_NAME, 443))
    except OSError:
        return False


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_that_gets_audio_reaches_neither_the_internet_nor_the_host(reached, service):
    assert {name for name, is_reached in reached[service].items() if is_reached} == {"gateway", *SERVICES}


def test_a_closed_gateway_is_published(closed_gateway):
    assert json.loads(docker("run", "--rm", "--network=host", "rapl/gateway", "python", "-c", live(closed_gateway)))


def live(port: int) -> str:
    url = f"http://127.0.0.1:{port}/health/live"
    return f"import urllib.request; print(int(urllib.request.urlopen({url!r}, timeout=10).status == 200))"


def test_the_gateway_has_connections_to_its_configured_backends_only(client, speakers, sample):
    assert words(client, sample, "rapl/selftest") == "3 1 4 1 5 9."
    program = f"import socket; print(*(socket.gethostbyname(name) for name in {list(SERVICES)!r}))"
    addresses = compose("exec", "-T", "gateway", "python", "-c", program).split()
    allowed = dict(zip(addresses, SERVICES.values(), strict=True))

    def opened() -> list[list[str]]:
        lines = compose("exec", "-T", "gateway", "python", "-c", CONNECTIONS).splitlines()
        return [line.split() for line in lines if not line.startswith("127.")]  # health checks

    until("it has connections", lambda: bool(opened()))
    assert [each for each in opened() if allowed.get(each[0]) != int(each[1])] == []
