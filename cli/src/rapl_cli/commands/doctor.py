"""`rapl doctor`: checks each part of the fleet, and prints how to fix what does not work."""

import asyncio
from typing import Any

from rapl_cli.checkout import SAMPLE, SAMPLE_MODEL, SAMPLE_TEXT
from rapl_cli.fleet.mlx_reachability import Probe, explain, probe_from_container, probe_from_host
from rapl_cli.fleet.ports import Ports
from rapl_cli.gateway_address import GatewayAddress
from rapl_cli.gateway_api import GatewayApi, GatewayError


def doctor(address: GatewayAddress) -> int:
    """Returns 0 if the gateway transcribes the sample correctly with the self-test model, otherwise 1."""
    return asyncio.run(_examine(address))


async def _examine(address: GatewayAddress) -> int:
    async with GatewayApi(address) as api:
        try:
            models = await api.models()
        except GatewayError as error:
            _print_check(False, "gateway", f"{error}. Start it with `docker compose up` or `./rapl up`.")
            return 1
        _print_check(True, "gateway", f"answers at {address.url}")
        for model in models:
            if model["id"] == model["engine_model"]:
                _print_check(model["state"] == "ready", model["id"], _state(model))
        await asyncio.to_thread(_examine_mlx, models)
        return 0 if await _self_test(api) else 1


def _examine_mlx(models: list[dict[str, Any]]) -> None:
    reasons = [m.get("reason") for m in models if m["owned_by"] == "mlx-service" and m["state"] == "unreachable"]
    gateway_error = reasons[0] if reasons else None
    host = probe_from_host(f"http://127.0.0.1:{Ports.from_environment().mlx}")
    container = None if gateway_error is None or host is Probe.NOT_LISTENING else probe_from_container()
    finding = explain(host, container, gateway_error=gateway_error)
    _print_check(finding.is_ok, "mlx-service", finding.message)


async def _self_test(api: GatewayApi) -> bool:
    try:
        text = await api.transcribe(SAMPLE, SAMPLE_MODEL)
    except GatewayError as error:
        return _print_check(False, "self-test", str(error))
    return _print_check(text == SAMPLE_TEXT, "self-test", f"transcribed {SAMPLE.name} as {text!r}")


def _state(model: dict[str, Any]) -> str:
    parts = [model["state"], model.get("reason"), model.get("remedy")]
    return ". ".join(part.rstrip(".") for part in parts if part)


def _print_check(is_ok: bool, subject: str, message: str) -> bool:
    print(f"{'ok  ' if is_ok else 'FAIL'}  {subject:<36}{message}")
    return is_ok
