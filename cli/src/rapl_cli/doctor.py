"""`rapl doctor`: what works, what does not, and how to mend it."""

import asyncio
from typing import Any

from rapl_cli.checkout import SAMPLE, SAMPLE_MODEL, SAMPLE_TEXT
from rapl_cli.fleet import mlx_reach
from rapl_cli.fleet.programs import Ports
from rapl_cli.gateway_api import GatewayApi, NotAnswered


def doctor(url: str) -> int:
    """Returns 0 if the whole path works for at least the self-test model and the default model is ready."""
    return asyncio.run(_examine(url))


async def _examine(url: str) -> int:
    async with GatewayApi(url) as api:
        try:
            models = await api.models()
        except NotAnswered as error:
            _say(False, "gateway", f"{error}. Start it with `docker compose up` or `./rapl up`.")
            return 1
        _say(True, "gateway", f"answers at {url}")
        for model in models:
            if model["id"] == model["engine_model"]:
                _say(model["state"] == "ready", model["id"], _state(model))
        await asyncio.to_thread(_examine_mlx, models)
        return 0 if await _self_test(api) else 1


def _examine_mlx(models: list[dict[str, Any]]) -> None:
    reasons = [m.get("reason") for m in models if m["owned_by"] == "mlx-service" and m["state"] == "unreachable"]
    says = reasons[0] if reasons else None
    host = mlx_reach.on_this_machine(f"http://127.0.0.1:{Ports.from_environment().mlx}")
    container = None if says is None or host == mlx_reach.NOTHING else mlx_reach.from_container()
    finding = mlx_reach.explain(host, container, gateway_says=says)
    _say(finding.is_well, "mlx-service", finding.words)


async def _self_test(api: GatewayApi) -> bool:
    try:
        text = await api.transcribe(SAMPLE, SAMPLE_MODEL)
    except NotAnswered as error:
        return _say(False, "self-test", str(error))
    return _say(text == SAMPLE_TEXT, "self-test", f"heard {text!r} in {SAMPLE.name}")


def _state(model: dict[str, Any]) -> str:
    parts = [model["state"], model.get("reason"), model.get("remedy")]
    return ". ".join(part.rstrip(".") for part in parts if part)


def _say(is_well: bool, what: str, words: str) -> bool:
    print(f"{'ok  ' if is_well else 'FAIL'}  {what:<36}{words}")
    return is_well
