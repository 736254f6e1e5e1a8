"""GET /health, GET /health/live and GET /health/ready.

`/health` and `live` return 200 while the gateway runs. `ready` returns 200 if a request for the default model would be
served, else 503.
"""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from rapl_protocol.models import ModelState

from rapl_gateway.gateway import Gateway, gateway_of
from rapl_gateway.speakers import service as speakers

router = APIRouter()

_CHOOSE_MODEL = "Choose another model with RAPL_DEFAULT_MODEL, or request this one, so that the engine loads it."


# JSON, and not the text `OK`, by which wyoming-openai recognizes Speaches.
@router.get("/health")
@router.get("/health/live")
async def live() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/health/ready", responses={503: {"description": "The gateway is not ready. The body has the reason."}})
async def ready(request: Request) -> JSONResponse:
    gateway = gateway_of(request)
    await gateway.backends.first_poll()
    problems = {name: reason for name, reason in _problems(gateway).items() if reason}
    default_problem = _default_problem(gateway)
    status = "not ready" if default_problem else "ok"
    body: dict[str, Any] = {"status": status, "model": gateway.catalog.default_model, "problems": problems}
    if default_problem:
        body["reason"] = default_problem
    if gateway.preprocess.problem:
        service = gateway.preprocess.service
        problems[service.name] = f"{gateway.preprocess.problem} {service.remedy}"
    if gateway.speakers and gateway.speakers.was_polled and gateway.speakers.problem:
        problems[speakers.NAME] = gateway.speakers.problem.message
    return JSONResponse(body, 503 if default_problem else 200)


def _problems(gateway: Gateway) -> dict[str, str | None]:
    return {b.spec.service_name: b.problem and b.problem.message for b in gateway.backends}


def _default_problem(gateway: Gateway) -> str | None:
    """Returns why a request for the default model would fail; None if it would succeed."""
    route = gateway.catalog.resolve(None, gateway.backends.discovered())
    backend = gateway.backends[route.backend]
    if backend.problem:
        return backend.problem.message
    info = backend.info(route.engine_model)
    if info is None:
        return f"{backend.spec.service_name} does not have the model {route.engine_model!r}. {_CHOOSE_MODEL}"
    return None if info.state is ModelState.READY else info.not_ready_error().message
