"""`rapl models`, `rapl unload` and `rapl rm`."""

import argparse
import asyncio
import sys
from typing import Any

from rich.text import Text

from rapl_cli.display import add_row, console, engine, plain, show, show_json, size, state_text, table
from rapl_cli.errors import report
from rapl_cli.fleet.mlx_reachability import is_expected_here
from rapl_cli.gateway_address import GatewayAddress
from rapl_cli.gateway_api import GatewayApi

MLX = "mlx-service"
SPEAKERS = "speaker-service"
_ABILITIES = {
    "word_timestamps": "words",
    "translation": "translation",
    "prompt": "prompt",
    "keywords": "keywords",
    "emotion_and_events": "emotion",
}
"""How the capabilities are shown in the table."""
_MANY_LANGUAGES = 6
_WIDE = 100
"""Columns from which on the capabilities have a column of their own."""


def models(options: argparse.Namespace) -> int:
    address = GatewayAddress.chosen(options.url, options.api_key)
    found = asyncio.run(_models(address))
    if options.json:
        show_json({"models": found})
        return 0
    if address.is_local and not is_expected_here():
        found = [not_running(model) if model["owned_by"] == MLX else model for model in found]
    is_wide = console().width >= _WIDE
    shown = table("Model", "Engine", "State", "Disk", *(["Can do"] if is_wide else []), right=("Disk",))
    for model in found:
        if not is_alias(model):
            name, can = Text(plain(model["id"])), abilities(model.get("capabilities"))
            if not is_wide and can != "-":
                name.append(f"\n  {can}", "dim")
            cells = engine(model["owned_by"]), state_text(model["state"]), size(model.get("disk_bytes"))
            add_row(shown, name, *cells, *([can] if is_wide else []))
    show(shown, *_other_names(found))
    return 0


def unload(options: argparse.Namespace) -> int:
    async def run() -> dict[str, Any]:
        async with GatewayApi(GatewayAddress.chosen(options.url, options.api_key)) as api:
            return await api.unload(options.model)

    model = asyncio.run(run())
    show_json(model) if options.json else show(plain(f"{model['engine_model']} is unloaded."))
    return 0


def remove(options: argparse.Namespace) -> int:
    address = GatewayAddress.chosen(options.url, options.api_key)

    async def entry() -> dict[str, Any]:
        async with GatewayApi(address) as api:
            return await api.model(options.model)

    async def run() -> dict[str, Any]:
        async with GatewayApi(address) as api:
            return await api.remove(options.model)

    # The question comes outside of the event loop, in which Ctrl-C would not end the wait for the answer.
    needs_answer = sys.stdin.isatty() and not options.yes
    if needs_answer and not _is_confirmed(asyncio.run(entry())):
        report("nothing was removed")
        return 1
    model = asyncio.run(run())
    show_json(model) if options.json else show(plain(f"The weights of {model['id']} are removed."))
    return 0


def not_running(entry: dict[str, Any]) -> dict[str, Any]:
    """A model or a process of a service that does not run here because it is not for this machine."""
    return entry | {"state": "not running"} if entry["state"] == "unreachable" else entry


def is_alias(model: dict[str, Any]) -> bool:
    """Whether the entry is another name of a model."""
    return model["id"] != model["engine_model"]


def abilities(capabilities: dict[str, Any] | None) -> str:
    """The capabilities of a model in a few words; a dash if they are unknown."""
    if not capabilities or not capabilities["is_known"]:
        return "-"
    languages = capabilities["languages"]
    if languages is None:
        spoken = []
    elif len(languages) > _MANY_LANGUAGES:
        spoken = [f"{len(languages)} languages"]
    else:
        spoken = ["/".join(languages)] if languages else []
    return ", ".join([*spoken, *(text for name, text in _ABILITIES.items() if capabilities[name])]) or "-"


async def _models(address: GatewayAddress) -> list[dict[str, Any]]:
    async with GatewayApi(address) as api:
        return await api.models_and_speakers()


def _is_confirmed(model: dict[str, Any]) -> bool:
    disk = size(model.get("disk_bytes"))
    question = f"Remove the weights of {model['id']}{'' if disk == '-' else f' ({disk})'}? [y/N] "
    try:
        return input(plain(question).rstrip() + " ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _other_names(found: list[dict[str, Any]]) -> list[Text]:
    """A line for each model that has other names."""
    names: dict[str, list[str]] = {}
    for model in found:
        if is_alias(model):
            names.setdefault(model["engine_model"], []).append(model["id"])
    return [Text(f"\nOther names of {plain(model)}: {plain(', '.join(others))}") for model, others in names.items()]
