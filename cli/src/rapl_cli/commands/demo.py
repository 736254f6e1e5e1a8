"""`rapl demo`: starts the fleet, transcribes the sample with the self-test model, and stops the fleet."""

import asyncio
import socket
import time
from contextlib import ExitStack

from rapl_cli.checkout import ROOT, SAMPLE, SAMPLE_MODEL
from rapl_cli.errors import report
from rapl_cli.fleet import programs
from rapl_cli.fleet.ports import Ports
from rapl_cli.fleet.service_urls import service_urls
from rapl_cli.fleet.supervisor import StartError, Supervisor
from rapl_cli.gateway_address import GatewayAddress
from rapl_cli.gateway_api import GatewayApi, GatewayError

_READY_LIMIT_S = 180.0
NEXT = """
Next:
  ./rapl up                    start the services, and download SenseVoiceSmall (about 900 MB, once)
  ./rapl mlx                   on a Mac with Apple silicon: start the MLX engine
  docker compose up            start the services in containers
  curl -F file=@samples/three-one-four.wav -F model=rapl/selftest http://127.0.0.1:8000/v1/audio/transcriptions
"""


def demo() -> int:
    try:
        text, took_s = asyncio.run(_transcribe_sample())
    except (GatewayError, StartError) as error:
        report(error)
        return 1
    print(f"\n{SAMPLE.relative_to(ROOT)} ({SAMPLE_MODEL}, {took_s * 1000:.0f} ms):\n\n  {text}")
    print(NEXT)
    return 0


async def _transcribe_sample() -> tuple[str, float]:
    ports = _free_ports()
    services = service_urls(ports, environ={}).values()
    fleet = [programs.preprocess(ports), programs.sensevoice(ports.sensevoice), programs.gateway(ports, services)]
    supervisor = Supervisor(fleet, quiet=True)
    report("starting gateway, preprocess-service and sensevoice-service")
    async with GatewayApi(GatewayAddress.mine(ports)) as api:
        sample = asyncio.create_task(_sample_text(api))
        sample.add_done_callback(lambda _: supervisor.stop())
        try:
            await supervisor.run()
        finally:
            sample.cancel()
        return await sample


async def _sample_text(api: GatewayApi) -> tuple[str, float]:
    await api.wait_until_ready(SAMPLE_MODEL, limit_s=_READY_LIMIT_S)
    began = time.perf_counter()
    return await api.transcribe(SAMPLE, SAMPLE_MODEL), time.perf_counter() - began


def _free_ports() -> Ports:
    """Unused ports, so that the demo can run beside a running fleet."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(4)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return Ports(*(each.getsockname()[1] for each in sockets))
