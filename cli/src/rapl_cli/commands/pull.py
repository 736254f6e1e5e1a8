"""`rapl pull` and `rapl load`: bring a model onto this machine and into memory, with the progress of its download."""

import argparse
import asyncio
import os
import re
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from rapl_service.calls.remedies import PREPARE_IN_COMPOSE
from rapl_service.supervised import PIPE_VARIABLE

from rapl_cli.commands.up import LOCK
from rapl_cli.display import plain, show, show_json, size
from rapl_cli.download_display import DownloadDisplay
from rapl_cli.errors import CommandError, report
from rapl_cli.fleet import programs
from rapl_cli.gateway_address import GatewayAddress
from rapl_cli.gateway_api import GatewayApi

_POLL_S = 0.5
_ERROR_LINE = re.compile(r"Z ERROR rapl\.prepare-(?:model|speakers) (.*)")
"""A line of the log of `prepare-model` or `prepare-speakers` with the reason why it failed, and the remedy."""
_WORKING = ("downloading", "loading")
_SETTLE_S = 5.0
"""Seconds in which a state from before the command may still be reported: the gateway polls its engines every 2 s."""


@dataclass(frozen=True)
class _Download:
    """The download of an engine that does not download its model itself."""

    program: Callable[[], programs.Program]
    module: str
    elsewhere: str
    """What to do if the services do not run natively in this checkout."""


_DOWNLOADS = {
    "sensevoice-service": _Download(
        programs.prepare_model,
        "rapl_sensevoice.prepare_model",
        "sensevoice-service does not download models. In Compose the container prepare-model does: "
        f"{PREPARE_IN_COMPOSE}, and `docker compose logs --follow prepare-model` shows it.",
    ),
    "speaker-service": _Download(
        programs.prepare_speakers,
        "rapl_speakers.prepare_model",
        "speaker-service does not download models. In Compose the container prepare-speakers does: `docker compose "
        "--profile speakers up -d --force-recreate prepare-speakers`, and `docker compose logs --follow "
        "prepare-speakers` shows it.",
    ),
}
"""By the engine's name."""


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
) -> AsyncGenerator["_Downloader | None"]:
    """Runs `prepare-model` in the context if the model needs it and the services run natively in this checkout.

    Raises:
        CommandError: the model needs it, and it runs elsewhere or may not be run.
    """
    download = _DOWNLOADS.get(model["owned_by"])
    if download is None or model["state"] not in ("absent", "failed"):
        yield None
        return
    if not may_download:
        raise CommandError(_not_ready(model, f"`./rapl pull {model['engine_model']}` downloads it."))
    if not address.is_local or LOCK.holder() is None:
        raise CommandError(_not_ready(model, download.elsewhere))
    async with _running(download) as downloader:
        yield downloader


class _Downloader:
    """A process of `prepare-model`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._error = ""

    @property
    def is_running(self) -> bool:
        return self._process.returncode is None

    @property
    def error(self) -> str | None:
        """Why it failed and what to do, from its log; None if it did not fail."""
        return self._error if self._process.returncode else None

    async def read_log(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            if match := _ERROR_LINE.search(line.decode("utf-8", "replace")):
                self._error = match[1]


@asynccontextmanager
async def _running(download: _Download) -> AsyncGenerator["_Downloader"]:
    """Runs `prepare-model` or `prepare-speakers` until the context ends. It ends with this process, even after SIGKILL.

    Its log is not shown: the engine reports its state and the progress. But it cannot write its state on a full disk.
    """
    program = replace(download.program(), arguments=(download.module,))
    read_end, write_end = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *program.command,
            env={**os.environ, PIPE_VARIABLE: str(read_end)},
            pass_fds=[read_end],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            limit=1 << 20,
            start_new_session=True,  # Ctrl-C reaches only this process, which then stops it
        )
        downloader = _Downloader(process)
        reading = asyncio.create_task(downloader.read_log())
        try:
            yield downloader
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
            await reading
    finally:
        os.close(read_end)
        os.close(write_end)


async def _wait(
    api: GatewayApi, model: dict[str, Any], downloader: _Downloader | None, display: DownloadDisplay
) -> dict[str, Any]:
    """Waits until the model is ready and returns its entry. Raises: CommandError."""
    clock = asyncio.get_running_loop().time
    began, has_begun = clock(), False
    while model["state"] != "ready":
        if model["state"] in _WORKING:
            has_begun = True
            display.show(model)
        elif downloader and downloader.is_running:  # the engine has not noticed it yet
            display.show({"state": "downloading"})
        if downloader and downloader.error:
            raise CommandError(f"{model['engine_model']} failed: {plain(downloader.error)}")
        if downloader and downloader.is_running:
            began, has_begun = clock(), False
        elif model["state"] not in _WORKING and (has_begun or clock() - began > _SETTLE_S):
            raise CommandError(_not_ready(model))
        await asyncio.sleep(_POLL_S)
        model = await api.model(model["id"])
    return model


@contextmanager
def _stop_explained(model: dict[str, Any], downloader: _Downloader | None) -> Generator[None]:
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
