"""`rapl up` and `rapl down`: start and stop the services on this machine, without Docker."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress

from rapl_service.exit_codes import BAD_SETTING
from rapl_service.settings.unknown import REPORTED
from rapl_service.supervised import STOP_GRACE_S
from tqdm import tqdm

from rapl_cli.checkout import ROOT, SAMPLE_MODEL, STATE
from rapl_cli.display import plain
from rapl_cli.errors import report
from rapl_cli.fleet import programs
from rapl_cli.fleet.lock import AlreadyHeld, FleetLock
from rapl_cli.fleet.mlx_reachability import is_apple_silicon
from rapl_cli.fleet.ports import SPEAKERS_PORT, TLS_PORT, Ports, port_problem
from rapl_cli.fleet.programs import Program
from rapl_cli.fleet.service_urls import ServiceUrls, service_urls
from rapl_cli.fleet.settings_check import settings_are_right
from rapl_cli.fleet.supervisor import StartError, Supervisor
from rapl_cli.gateway_address import GatewayAddress
from rapl_cli.gateway_api import GatewayApi, GatewayError

LOCK = FleetLock(STATE / "up.lock")
LOG_FILE = STATE / "up.log"
_READY_LIMIT_S = 180.0
_STOP_LIMIT_S = STOP_GRACE_S + 5.0


def up(with_mlx: bool | None, with_speakers: bool, *, download: bool, detach: bool) -> int:
    """Runs the services until SIGINT, SIGTERM or SIGHUP. Returns 2 if a setting is wrong, 1 if a service cannot start.

    `with_mlx=None` runs MLX on a Mac with Apple silicon only.
    """
    if pid := LOCK.holder():
        return _refuse_second(pid)
    ports = Ports.from_environment()
    services = service_urls(ports, with_speakers=with_speakers)
    if problem := _port_problem(ports, services, with_mlx):
        report(problem)
        return 1
    fleet = _programs(ports, services, with_mlx, download)
    if not settings_are_right(fleet):
        return BAD_SETTING
    if detach:
        report(_starting(fleet))
        return _detach(ports, services, with_mlx, download)
    try:
        with LOCK.held():
            asyncio.run(_run(fleet, ports, services, download))
    except AlreadyHeld as error:
        return _refuse_second(*error.args)
    except StartError as error:
        report(error)
        return 2 if error.code == BAD_SETTING else 1
    return 0


def down() -> int:
    pid = LOCK.holder()
    if pid is None:
        report("the services are not running")
        return 0
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_LIMIT_S
    while LOCK.holder() == pid:
        if time.monotonic() > deadline:
            report(f"process {pid} did not stop")
            return 1
        time.sleep(0.1)
    report("stopped")
    return 0


def _refuse_second(pid: int) -> int:
    report(f"the services are up already (process {pid}); stop them with `./rapl down`")
    return 1


def _programs(
    ports: Ports, services: Mapping[str, ServiceUrls], with_mlx: bool | None, download: bool
) -> list[Program]:
    """The programs to start: not those of the services that RAPL_*_URL place elsewhere, which are named."""
    for each in services.values():
        if not each.is_ours:
            report(f"{each.service}: using {', '.join(each.urls)} ({each.variable})")
    fleet = [programs.preprocess(ports)] if services["preprocess-service"].is_ours else []
    if services["sensevoice-service"].is_ours:
        fleet += _sensevoices(ports, services["sensevoice-service"])
        fleet += [programs.prepare_model()] if download else []
    if _starts_mlx(with_mlx) and services["mlx-service"].is_ours:
        fleet.append(programs.mlx(ports))
    if (speakers := services.get("speaker-service")) and speakers.is_ours:
        fleet.append(programs.speakers(ports))
        fleet += [programs.prepare_speakers()] if download else []
    return [*fleet, programs.gateway(ports, services.values())]


def _sensevoices(ports: Ports, urls: ServiceUrls) -> list[Program]:
    """One process for each address of this machine. One at which something listens already is used as it is."""
    further = [port for port in urls.further_ports() if port_problem(port, urls.variable) is None]
    return [programs.sensevoice(port, number) for number, port in enumerate([ports.sensevoice, *further], 1)]


def _starts_mlx(with_mlx: bool | None) -> bool:
    return is_apple_silicon() if with_mlx is None else with_mlx


def _port_problem(ports: Ports, services: Mapping[str, ServiceUrls], with_mlx: bool | None) -> str | None:
    """Why a service cannot listen on its port. It is looked up before anything is installed."""
    started = [("gateway", "RAPL_PORT", ports.gateway), ("gateway", TLS_PORT, ports.gateway_tls)]
    if services["preprocess-service"].is_ours:
        started.append(("preprocess", "RAPL_PREPROCESS_PORT", ports.preprocess))
    if services["sensevoice-service"].is_ours:
        started.append(("sensevoice", "RAPL_SENSEVOICE_PORT", ports.sensevoice))
    if services["mlx-service"].is_ours and _starts_mlx(with_mlx):
        started.append(("mlx", "RAPL_MLX_PORT", ports.mlx))
    if (speakers := services.get("speaker-service")) and speakers.is_ours:
        started.append(("speakers", SPEAKERS_PORT, ports.speakers))
    for name, variable, port in started:
        if port and (problem := port_problem(port, variable)):
            return f"{name} cannot start: {problem}"
    return None


def _starting(fleet: list[Program]) -> str:
    return f"starting {', '.join(program.name for program in fleet)}"


async def _run(fleet: list[Program], ports: Ports, services: Mapping[str, ServiceUrls], download: bool) -> None:
    supervisor = Supervisor(fleet)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, supervisor.stop)
    report(_starting(fleet))
    async with GatewayApi(GatewayAddress.mine(ports)) as api:
        progress = asyncio.create_task(_show_downloads(api, supervisor, services, download))
        try:
            await supervisor.run()
        finally:
            progress.cancel()


async def _wait_until_up(api: GatewayApi, services: Mapping[str, ServiceUrls]) -> list[str]:
    """Waits for the services that `up` starts, and returns what is wrong with the others. Raises: GatewayError."""
    model = SAMPLE_MODEL if services["sensevoice-service"].is_ours else None
    await api.wait_until_ready(model, limit_s=_READY_LIMIT_S)
    if (speakers := services.get("speaker-service")) and speakers.is_ours:
        await api.wait_for_speakers(limit_s=_READY_LIMIT_S)
    return [text for name, text in (await api.problems()).items() if name in services and not services[name].is_ours]


async def _default_model(api: GatewayApi, download: bool) -> str:
    """Returns a sentence about the default model: whether it can be used, and if not, what to do. Raises: GatewayError.

    Args:
        download: whether `up` downloads SenseVoiceSmall; the download may not have begun yet.
    """
    model = await api.default_model()
    name, state = plain(model["engine_model"]), model["state"]
    if state == "absent" and model["owned_by"] == "sensevoice-service" and download:
        state = "downloading"
    endings = {
        "ready": "is ready.",
        "loading": "is being loaded.",
        "downloading": "is being downloaded; `./rapl status` shows it.",
        "absent": f"is not on this machine; `./rapl pull {name}` downloads it.",
    }
    return f"The default model {name} {endings.get(state, 'cannot be used; `./rapl doctor` says why.')}"


async def _show_downloads(
    api: GatewayApi, supervisor: Supervisor, services: Mapping[str, ServiceUrls], download: bool
) -> None:
    """Prints a line when the services are up, and shows a progress bar for each model that is being downloaded."""
    try:
        problems = await _wait_until_up(api, services)
        supervisor.has_started()
        for problem in problems:
            report(problem)
        model = await _default_model(api, download)
        report(f"up at {api.url} (OpenAI clients: {api.url}/v1). Stop with Ctrl-C. {model}")
    except GatewayError as error:
        report(error)
    bars: dict[str, tqdm] = {}
    while sys.stderr.isatty():  # otherwise the services log the progress of downloads
        with suppress(GatewayError):  # the gateway is being restarted; the supervisor logs that
            _draw(bars, await api.models_and_speakers())
        await asyncio.sleep(0.5)


def _draw(bars: dict[str, tqdm], models: list[dict]) -> None:
    for model in models:
        name, progress = model["id"], model.get("progress")
        if model["state"] == "downloading" and progress and name == model["engine_model"]:
            bar = bars.setdefault(name, tqdm(desc=name, unit="B", unit_scale=True, leave=False, file=sys.stderr))
            bar.total = progress["total_bytes"]
            bar.n = progress["done_bytes"]
            bar.refresh()
        elif name in bars:
            bars.pop(name).close()


def _detach(ports: Ports, services: Mapping[str, ServiceUrls], with_mlx: bool | None, download: bool) -> int:
    command = [sys.executable, "-m", "rapl_cli", "up"]
    command += [] if download else ["--no-download"]
    command += [] if with_mlx is None else ["--mlx" if with_mlx else "--no-mlx"]
    command += ["--speakers"] if "speaker-service" in services else []
    wrapper = [sys.executable, "-m", "rapl_cli.rotating_log", str(LOG_FILE)]
    process = subprocess.Popen(
        [*wrapper, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, REPORTED: "yes"},
    )
    try:
        return asyncio.run(_wait_detached(ports, services, process, download))
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise


async def _wait_detached(
    ports: Ports, services: Mapping[str, ServiceUrls], process: subprocess.Popen[bytes], download: bool
) -> int:
    log = LOG_FILE.relative_to(ROOT)
    async with GatewayApi(GatewayAddress.mine(ports)) as api:
        ready = asyncio.create_task(_wait_until_up(api, services))
        while process.poll() is None and not ready.done():
            await asyncio.wait({ready}, timeout=0.1)
        if not ready.done():
            ready.cancel()
            lines = LOG_FILE.read_text(errors="replace").splitlines() if LOG_FILE.exists() else []
            last = lines[-1].removeprefix("rapl: ") if lines else "the services ended"
            report(f"{last}; see {log}")
            return 1
        try:
            problems = ready.result()
        except GatewayError as error:
            report(f"{error}; see {log}")
            return 1
        for problem in problems:
            report(problem)
        print(f"rapl: up at {api.url}; log: {log}; stop with `./rapl down`. {await _default_model(api, download)}")
    return 0
