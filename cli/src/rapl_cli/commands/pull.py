"""`rapl pull` and `rapl load`: bring a model onto this machine and into memory, with the progress of its download."""

import argparse
import asyncio
import os
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from typing import Any

from rapl_service.supervised import PIPE_VARIABLE

from rapl_cli.commands.up import LOCK
from rapl_cli.display import plain, show, show_json, size
from rapl_cli.download_display import DownloadDisplay
from rapl_cli.errors import CommandError, report
from rapl_cli.fleet import programs
from rapl_cli.gateway_address import GatewayAddress
from rapl_cli.gateway_api import GatewayApi

_POLL_S = 0.5
_WORKING = ("downloading", "loading")
_SETTLE_S = 5.0
"""Seconds in which a state from before the command may still be reported: the gateway polls its engines every 2 s."""
_SENSEVOICE = "sensevoice-service"
_PREPARE_MODEL = (
    "sensevoice-service does not download models. In Compose the container prepare-model does: "
    "`docker compose up --detach prepare-model`, and `docker compose logs --follow prepare-model` shows it."
)


def pull(options: argparse.Namespace) -> int:
    """Downloads a model, if it is not on the disk, and loads it. Returns when it is ready.

    Raises:
        CommandError: it cannot become ready; the message has the reason and the remedy.
    """
    return asyncio.run(_until_ready(options, may_download=True))


def load(options: argparse.Namespace) -> int:
    """Loads a model and returns when it is ready. Raises: CommandError, as `pull`."""
    return asyncio.run(_until_ready(options, may_download=False))


async def _until_ready(options: argparse.Namespace, *, may_download: bool) -> int:
    address = GatewayAddress.chosen(options.url, options.api_key)
    async with GatewayApi(address) as api:
        model = await api.load(options.model)
        async with _prepared(model, address, may_download=may_download) as downloader:
            with DownloadDisplay(model["engine_model"]) as display, _stop_explained(model, downloader):
                model = await _wait(api, model, downloader, display)
    if options.json:
        show_json(model)
    else:
        disk = size(model.get("disk_bytes"))
        show(plain(f"{model['engine_model']} is ready{'' if disk == '-' else f' ({disk} on the disk)'}."))
    return 0


@asynccontextmanager
async def _prepared(
    model: dict[str, Any], address: GatewayAddress, *, may_download: bool
) -> AsyncGenerator[asyncio.subprocess.Process | None]:
    """Runs `prepare-model` in the context if the model needs it and the services run natively in this checkout.

    Raises:
        CommandError: the model needs it, and it runs elsewhere or may not be run.
    """
    is_missing = model["owned_by"] == _SENSEVOICE and model["state"] in ("absent", "failed")
    if not is_missing:
        yield None
        return
    if not may_download:
        raise CommandError(_not_ready(model, f"`./rapl pull {model['engine_model']}` downloads it."))
    if not address.is_local or LOCK.holder() is None:
        raise CommandError(_not_ready(model, _PREPARE_MODEL))
    async with _running_prepare_model() as process:
        yield process


@asynccontextmanager
async def _running_prepare_model() -> AsyncGenerator[asyncio.subprocess.Process]:
    """Runs `prepare-model` until the context ends. It ends with this process, even after SIGKILL.

    Its output is not shown: the engine reports its state and the progress.
    """
    program = replace(programs.prepare_model(), arguments=("rapl_sensevoice.prepare_model",))
    read_end, write_end = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *program.command,
            env={**os.environ, PIPE_VARIABLE: str(read_end)},
            pass_fds=[read_end],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C reaches only this process, which then stops it
        )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
    finally:
        os.close(read_end)
        os.close(write_end)


async def _wait(
    api: GatewayApi, model: dict[str, Any], downloader: asyncio.subprocess.Process | None, display: DownloadDisplay
) -> dict[str, Any]:
    """Waits until the model is ready and returns its entry. Raises: CommandError."""
    clock = asyncio.get_running_loop().time
    began, has_begun = clock(), False
    while model["state"] != "ready":
        if model["state"] in _WORKING:
            has_begun = True
            display.show(model)
        if downloader and downloader.returncode is None:
            began, has_begun = clock(), False
        elif model["state"] not in _WORKING and (has_begun or clock() - began > _SETTLE_S):
            raise CommandError(_not_ready(model))
        await asyncio.sleep(_POLL_S)
        model = await api.model(model["id"])
    return model


@contextmanager
def _stop_explained(model: dict[str, Any], downloader: asyncio.subprocess.Process | None) -> Generator[None]:
    """After Ctrl-C, prints what becomes of the download."""
    try:
        yield
    except asyncio.CancelledError:
        name = plain(model["engine_model"])
        goes_on = f"{model['owned_by']} goes on without this command; `./rapl rm {name}` stops it and removes the files"
        report(goes_on if downloader is None else f"`./rapl pull {name}` resumes it")
        raise


def _not_ready(model: dict[str, Any], remedy: str | None = None) -> str:
    verb = "" if model["state"] == "failed" else "is "
    parts = (f"{model['engine_model']} {verb}{model['state']}", model.get("reason"), remedy or model.get("remedy"))
    state, reason, remedy = (part and plain(part).rstrip(".") for part in parts)
    return f"{state}{f': {reason}' if reason else ''}.{f' {remedy}.' if remedy else ''}"
