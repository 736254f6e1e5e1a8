"""`rapl status`: the services, the models in memory, the queue, and what does not work."""

import argparse
import asyncio
import sys
from contextlib import suppress
from typing import Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rapl_cli.commands.models import MLX, SPEAKERS, is_alias, not_running
from rapl_cli.display import add_row, console, duration, engine, plain, show, show_json, size, state_text, table
from rapl_cli.errors import CommandError
from rapl_cli.fleet.mlx_reachability import is_expected_here
from rapl_cli.gateway_address import GatewayAddress
from rapl_cli.gateway_api import GatewayApi, with_speakers

_WATCH_EVERY_S = 1.0


def status(options: argparse.Namespace) -> int:
    address = GatewayAddress.chosen(options.url, options.api_key)
    if not options.watch:
        found = asyncio.run(_fetched(address))
        show_json(found) if options.json else show(_screen(found, address))
        return 0
    with suppress(KeyboardInterrupt):  # the usual end
        asyncio.run(_watch(address, as_json=options.json))
    return 0


async def _fetched(address: GatewayAddress) -> dict[str, Any]:
    """The answer of GET /v1/status, with the gateway's address and the models. Raises: GatewayError."""
    async with GatewayApi(address) as api:
        found, models = await asyncio.gather(api.status(), api.models())
    return {"url": address.url, **found, "models": with_speakers(models, found)}


async def _watch(address: GatewayAddress, *, as_json: bool) -> None:
    if as_json or not sys.stdout.isatty():
        while True:
            found = await _fetched(address)
            show_json(found) if as_json else show(_screen(found, address), "")
            sys.stdout.flush()
            await asyncio.sleep(_WATCH_EVERY_S)
    with Live(console=console(), screen=True, auto_refresh=False) as live:
        while True:
            live.update(await _screen_or_error(address), refresh=True)
            await asyncio.sleep(_WATCH_EVERY_S)


async def _screen_or_error(address: GatewayAddress) -> RenderableType:
    try:
        return _screen(await _fetched(address), address)
    except CommandError as error:  # the gateway may come back
        return Text(plain(f"rapl: {error.text}"), "red")


def _screen(found: dict[str, Any], address: GatewayAddress) -> Group:
    if address.is_local and not _is_mlx_needed(found):
        found = _without_mlx(found)
    found = _without_unused_speakers(found)
    parts = [_head(found), "", _services(found), "", _models(found)]
    if found["problems"]:
        parts += ["", Text("Problems", "bold red"), _problems(found["problems"])]
    return Group(*parts)


def _is_mlx_needed(found: dict[str, Any]) -> bool:
    """Whether it matters if mlx-service runs. `doctor` has the same rule."""
    default = next((model for model in found["models"] if model["id"] == found["default_model"]), None)
    return is_expected_here() or (default is not None and default["owned_by"] == MLX)


def _without_mlx(found: dict[str, Any]) -> dict[str, Any]:
    """The same status, in which it is no problem that mlx-service does not run."""
    backends = [
        each | {"replicas": list(map(not_running, each["replicas"]))} if each["service"] == MLX else each
        for each in found["backends"]
    ]
    models = [not_running(model) if model["owned_by"] == MLX else model for model in found["models"]]
    problems = [problem for problem in found["problems"] if problem["subject"] != MLX]
    return found | {"backends": backends, "models": models, "problems": problems}


def _without_unused_speakers(found: dict[str, Any]) -> dict[str, Any]:
    """The same status, in which it is no problem that speaker-service was never there: not everybody wants it."""
    skipped = [each for each in found["problems"] if each["subject"] == SPEAKERS and each["status"] == "skipped"]
    if not skipped or not found.get("speakers"):
        return found
    models = [not_running(model) if model["owned_by"] == SPEAKERS else model for model in found["models"]]
    problems = [each for each in found["problems"] if each not in skipped]
    replicas = list(map(not_running, found["speakers"]["replicas"]))
    speakers = found["speakers"] | {"replicas": replicas}
    return found | {"speakers": speakers, "models": models, "problems": problems}


def _head(found: dict[str, Any]) -> Text:
    text = Text(f"RAPL {found['version']}", "bold")
    text.append(f" at {found['url']}, up {duration(found['uptime_s'])}\n", "not bold")
    requests = found["running_requests"]
    work = [f"{requests} {'request' if requests == 1 else 'requests'} running"]
    work.append(f"{found['queued_audio_s']:.1f} s of audio queued")
    if found["stored_upload_bytes"]:
        work.append(f"{size(found['stored_upload_bytes'])} of uploads stored")
    return text.append(f"{', '.join(work)}\nDefault model: {plain(found['default_model'])}", "not bold")


def _services(found: dict[str, Any]) -> RenderableType:
    right = ("Running", "Queued", "Memory")
    shown = table("Service", "Address", "State", *right, right=right)
    preprocess = found["preprocess"]
    add_row(shown, "preprocess-service", preprocess["host"], state_text(preprocess["state"]), "-", "-", "-")
    for backend in found["backends"]:
        for number, replica in enumerate(backend["replicas"]):
            parallel = replica["parallel"]
            running = f"{replica['running_segments']} of {parallel}" if parallel else "-"
            queued = f"{backend['queued_audio_s']:.1f} s" if number == 0 else ""
            name = backend["service"] if number == 0 else ""
            state = state_text(replica["state"])
            add_row(shown, name, replica["host"], state, running, queued, size(replica["memory_bytes"]))
    for number, process in enumerate(found["speakers"]["replicas"] if found.get("speakers") else []):
        running = f"{process['running_segments']} of {process['parallel']}" if process["parallel"] else "-"
        cells = process["host"], state_text(process["state"]), running, "-", size(process["memory_bytes"])
        add_row(shown, SPEAKERS if number == 0 else "", *cells)
    return shown


def _models(found: dict[str, Any]) -> RenderableType:
    shown = table("Model", "Engine", "State", "Disk", "Memory", right=("Disk", "Memory"))
    for model in found["models"]:
        if not is_alias(model):
            sizes = size(model.get("disk_bytes")), size(model.get("memory_bytes"))
            add_row(shown, model["id"], engine(model["owned_by"]), _model_state(model), *sizes)
    return shown


def _model_state(model: dict[str, Any]) -> Text:
    text, progress = state_text(model["state"]), model.get("progress") or {}
    if model["state"] == "downloading" and progress.get("total_bytes"):
        text.append(f" {progress['done_bytes'] / progress['total_bytes']:.0%}")
    return text


def _problems(problems: list[dict[str, Any]]) -> RenderableType:
    listed = Table.grid(padding=(0, 1))
    for problem in problems:
        sentence = ". ".join(part.rstrip(".") for part in (problem["reason"], problem["remedy"]) if part)
        subject = "" if sentence.startswith(problem["subject"]) else f"{problem['subject']}: "
        add_row(listed, "-", f"{subject}{sentence}.")
    return listed
