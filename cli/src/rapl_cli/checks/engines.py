"""preprocess-service and the engines, as the gateway sees them, and each replica as this machine sees it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx
from rapl_service.calls.remedies import START_MLX

from rapl_cli.checks.check import Check, Scene, Status
from rapl_cli.fleet.mlx_reachability import Probe, bearer, explain, probe_from_container, probe_from_host
from rapl_cli.fleet.service_urls import service_urls

_PREPROCESS, _MLX = "preprocess-service", "mlx-service"
_LIMIT_S = 3.0


def services(scene: Scene, ready: Mapping[str, Any], models: Sequence[Mapping[str, Any]]) -> Iterator[Check]:
    """A line for each service of the gateway, and one for each replica of a service with several addresses.

    Args:
        scene: which gateway it is.
        ready: the gateway's answer to GET /health/ready.
        models: the gateway's list of models.
    """
    problems: Mapping[str, str] = ready["problems"]
    default = {model["owned_by"] for model in models if model["id"] == ready.get("model")}
    for service in dict.fromkeys([_PREPROCESS, *(model["owned_by"] for model in models)]):
        problem = problems.get(service)
        if problem is None:
            yield Check.ok(service, "the gateway reaches it")
        elif service == _MLX and scene.address.is_local:
            yield _mlx(scene, problem, is_default=service in default)
        else:
            is_needed = service in default or service == _PREPROCESS
            yield _unreachable(service, problem, models, Status.FAILED if is_needed else Status.WARNING)
        if scene.address.is_local:
            yield from _replicas(scene, service)


def _unreachable(service: str, problem: str, models: Sequence[Mapping[str, Any]], status: Status) -> Check:
    remedy = next((m["remedy"] for m in models if m["owned_by"] == service and m.get("remedy")), None)
    if remedy is None:
        reason, _, remedy = problem.partition(". ")
        return Check(service, status, f"{reason}.", remedy or "Look at its log.")
    return Check(service, status, problem.removesuffix(remedy).strip(), remedy)


def _mlx(scene: Scene, problem: str, *, is_default: bool) -> Check:
    urls = service_urls(scene.ports, scene.environ)[_MLX]
    is_wanted = is_default or urls.chosen is not None
    if scene.system != "Darwin" and not is_wanted:
        return Check.skipped(_MLX, "not running; it is for Macs with Apple silicon")
    host = probe_from_host(urls.urls[0])
    if host is Probe.NOT_LISTENING and not urls.is_ours:
        return Check(_MLX, Status.FAILED if is_default else Status.WARNING, problem, START_MLX)
    container = None if host is Probe.NOT_LISTENING else probe_from_container()
    finding = explain(host, container, gateway_error=problem, system=scene.system)
    if finding.is_ok:
        return Check.ok(_MLX, finding.message)
    message, _, remedy = finding.message.partition(". ")
    return Check(_MLX, Status.FAILED if is_default else Status.WARNING, message, remedy)


def _replicas(scene: Scene, service: str) -> Iterator[Check]:
    """A line for each address of a service that has several, asked from this machine."""
    urls = service_urls(scene.ports, scene.environ).get(service)
    if urls is None or len(urls.urls) < 2:
        return
    for url in urls.urls:
        try:
            answer = httpx.get(f"{url}/v1/models", headers=bearer(), timeout=_LIMIT_S, trust_env=False)
        except httpx.HTTPError:
            yield Check.warning(
                "replica", f"{service} at {url} cannot be reached", f"Start it, or remove it from {urls.variable}."
            )
        else:
            if answer.is_success:
                yield Check.ok("replica", f"{service} at {url} answers")
            else:
                yield Check.warning(
                    "replica", f"{service} at {url} answers with status {answer.status_code}", "Look at its log."
                )
