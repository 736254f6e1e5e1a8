"""`rapl doctor`: what works, what does not, and how to mend it."""

import asyncio
from typing import Any

from rapl_cli.checkout import SAMPLE, SAMPLE_MODEL, SAMPLE_TEXT
from rapl_cli.fleet import mlx_reachability
from rapl_cli.fleet.programs import Ports
from rapl_cli.gateway_api import GatewayApi, GatewayError


def doctor(url: str) -> int:
    """Returns 0 if the whole path works for at least the self-test model and the default model is ready."""
    return asyncio.run(_examine(url))


async def _examine(url: str) -> int:
    async with GatewayApi(url) as api:
        try:
            models = await api.models()
        except GatewayError as error:
            _print_check(False, "gateway", f"{error}. Start it with `docker compose up` or `./rapl up`.")
            return 1
        _print_check(True, "gateway", f"answers at {url}")
        for model in models:
            if model["id"] == model["engine_model"]:
                _print_check(model["state"] == "ready", model["id"], _state(model))
        await asyncio.to_thread(_examine_mlx, models)
        return 0 if await _self_test(api) else 1


def _examine_mlx(models: list[dict[str, Any]]) -> None:
    reasons = [m.get("reason") for m in models if m["owned_by"] == "mlx-service" and m["state"] == "unreachable"]
    says = reasons[0] if reasons else None
    host = mlx_reachability.probe_from_host(f"http://127.0.0.1:{Ports.from_environment().mlx}")
    container = None if says is None or host == mlx_reachability.NOTHING else mlx_reachability.probe_from_container()
    finding = mlx_reachability.explain(host, container, gateway_says=says)
    _print_check(finding.is_ok, "mlx-service", finding.message)


async def _self_test(api: GatewayApi) -> bool:
    try:
        text = await api.transcribe(SAMPLE, SAMPLE_MODEL)
    except GatewayError as error:
        return _print_check(False, "self-test", str(error))
    return _print_check(text == SAMPLE_TEXT, "self-test", f"heard {text!r} in {SAMPLE.name}")


def _state(model: dict[str, Any]) -> str:
    parts = [model["state"], model.get("reason"), model.get("remedy")]
    return ". ".join(part.rstrip(".") for part in parts if part)


def _print_check(is_ok: bool, what: str, words: str) -> bool:
    print(f"{'ok  ' if is_ok else 'FAIL'}  {what:<36}{words}")
    return is_ok
