"""`rapl up` and `rapl down`: start and stop the services on this machine, without Docker."""

import asyncio
import os
import platform
import signal
import subprocess
import sys
import time
from contextlib import suppress

from tqdm import tqdm

from rapl_cli.checkout import ROOT, SAMPLE_MODEL, STATE
from rapl_cli.fleet import programs
from rapl_cli.fleet.programs import Ports, Program
from rapl_cli.fleet.supervisor import STOP_GRACE_S, Supervisor
from rapl_cli.gateway_api import GatewayApi, GatewayError

PID_FILE = STATE / "up.pid"
LOG_FILE = STATE / "up.log"
_READY_LIMIT_S = 180.0


def up(*, with_mlx: bool | None, download: bool, detach: bool) -> int:
    """Runs the services until SIGINT or SIGTERM. `with_mlx=None` runs MLX on a Mac with Apple silicon only."""
    if pid := _running_pid():
        print(f"rapl: the services are up already (process {pid}); stop them with `./rapl down`", file=sys.stderr)
        return 1
    ports = Ports.from_environment()
    fleet = _programs(ports, with_mlx, download)
    if detach:
        return _detach(with_mlx, download)
    STATE.mkdir(exist_ok=True)
    PID_FILE.write_text(str(os.getpid()))
    try:
        asyncio.run(_run(fleet, ports))
    finally:
        PID_FILE.unlink(missing_ok=True)
    return 0


def down() -> int:
    pid = _running_pid()
    if pid is None:
        print("rapl: the services are not running", file=sys.stderr)
        return 0
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_GRACE_S + 5
    while _running_pid() == pid:
        if time.monotonic() > deadline:
            print(f"rapl: process {pid} did not stop", file=sys.stderr)
            return 1
        time.sleep(0.1)
    return 0


def _programs(ports: Ports, with_mlx: bool | None, download: bool) -> list[Program]:
    fleet = [programs.preprocess(ports), programs.sensevoice(ports), programs.gateway(ports)]
    if download:
        fleet.append(programs.prepare_model())
    if with_mlx is None:
        with_mlx = (platform.system(), platform.machine()) == ("Darwin", "arm64")
    return [*fleet, programs.mlx(ports)] if with_mlx else fleet


async def _run(fleet: list[Program], ports: Ports) -> None:
    supervisor = Supervisor(fleet)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, supervisor.stop)
    async with GatewayApi(ports.gateway_url) as api:
        progress = asyncio.create_task(_show_downloads(api))
        await supervisor.run()
        progress.cancel()


async def _show_downloads(api: GatewayApi) -> None:
    """Prints a line when the services are up, and shows a progress bar for each model that is being downloaded."""
    try:
        await api.wait_until_ready(SAMPLE_MODEL, limit_s=_READY_LIMIT_S)
    except GatewayError as error:
        tqdm.write(f"rapl: {error}", file=sys.stderr)
    else:
        tqdm.write(f"rapl: up at {api.url} (OpenAI clients: {api.url}/v1). Stop with Ctrl-C.", file=sys.stderr)
    bars: dict[str, tqdm] = {}
    while sys.stderr.isatty():  # otherwise the services log the progress of downloads
        with suppress(GatewayError):  # the gateway is being restarted; the supervisor logs that
            _draw(bars, await api.models())
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


def _detach(with_mlx: bool | None, download: bool) -> int:
    STATE.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "rapl_cli", "up"]
    command += [] if download else ["--no-download"]
    command += [] if with_mlx is None else ["--mlx" if with_mlx else "--no-mlx"]
    with LOG_FILE.open("ab") as log:
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=ROOT)
    return asyncio.run(_wait_detached(Ports.from_environment()))


async def _wait_detached(ports: Ports) -> int:
    async with GatewayApi(ports.gateway_url) as api:
        try:
            await api.wait_until_ready(SAMPLE_MODEL, limit_s=_READY_LIMIT_S)
        except GatewayError as error:
            print(f"rapl: {error}; see {LOG_FILE.relative_to(ROOT)}", file=sys.stderr)
            return 1
    print(f"rapl: up at {ports.gateway_url}; log: {LOG_FILE.relative_to(ROOT)}; stop with `./rapl down`")
    return 0


def _running_pid() -> int | None:
    try:
        pid = int(PID_FILE.read_text())
        os.kill(pid, 0)
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return None
    return pid
