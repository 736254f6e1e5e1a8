"""`rapl doctor`: checks each link from the client to the engines, and prints how to fix what does not work."""

import argparse
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace

from rapl_service.calls.remedies import without_docker
from rich.console import Console

from rapl_cli.checks import connection, containers, gateway, machine, model_files, ports, report
from rapl_cli.checks.check import Check, Scene, Status
from rapl_cli.commands.up import LOCK
from rapl_cli.fleet.ports import Ports
from rapl_cli.gateway_address import GatewayAddress


def doctor(options: argparse.Namespace) -> int:
    """Returns 0 if the default model can be used, otherwise 1."""
    scene = Scene(GatewayAddress.chosen(options.url, options.api_key), Ports.from_environment(), LOCK.holder())
    with Console(stderr=True).status("checking…"):  # shown on a terminal only
        checks = [_for_this_machine(check) for check in _checks(scene)]
    if options.json:
        report.print_json(checks)
    else:
        report.print_checks(checks)
    sys.stdout.flush()
    return 1 if any(check.status is Status.FAILED for check in checks) else 0


def _for_this_machine(check: Check) -> Check:
    has_docker = shutil.which("docker") is not None
    return check if has_docker or not check.remedy else replace(check, remedy=without_docker(check.remedy))


def _checks(scene: Scene) -> Iterator[Check]:
    """All results: first this machine, then the way to the gateway, then the gateway and its engines."""
    for check in (machine.checkout, machine.system, machine.processor, machine.memory):
        yield check(scene)
    if scene.address.is_local:  # another machine's models and uploads do not need this disk
        yield machine.model_disk(scene)
        yield machine.temporary_disk(scene)
        yield from model_files.model_files(scene)
        yield containers.docker(scene)
        yield containers.compose(scene)
    yield from ports.ports(scene)
    yield connection.proxies(scene)
    yield connection.certificate(scene)
    yield from gateway.gateway(scene)
