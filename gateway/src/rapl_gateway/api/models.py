"""GET /v1/models, and for one model GET and DELETE /v1/models/{id}, POST /v1/models/{id}/load and .../unload.

A model has OpenAI's fields and, in addition, its state. The model of speaker-service transcribes nothing, so it is not
in the list: `GET /v1/status` has it.
"""

from typing import Any

from fastapi import APIRouter, Request
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.models import ModelInfo
from rapl_protocol.speakers import SPEAKERS_MODEL

from rapl_gateway.api.openapi import errors
from rapl_gateway.backends.catalog import Route
from rapl_gateway.gateway import Gateway, gateway_of
from rapl_gateway.speakers.service import NAME, SpeakerService

router = APIRouter()

CREATED = 1_735_689_600
"""Creation time of every model: 2025-01-01. OpenAI's schema requires one, and no engine reports one."""


@router.get("/v1/models", responses=errors(401))
async def list_models(request: Request) -> dict[str, Any]:
    gateway = gateway_of(request)
    await gateway.backends.first_poll()
    discovered = gateway.backends.discovered()
    ids = dict.fromkeys(
        [*gateway.catalog.ids(have_speakers=_have_speakers(gateway)), *(route.model for route in discovered)]
    )
    routes = {model: gateway.catalog.resolve(model, discovered) for model in ids}
    return {"object": "list", "data": [_model(gateway, model, route) for model, route in routes.items()]}


@router.get("/v1/models/{model:path}", responses=errors(401, 404))
async def retrieve_model(model: str, request: Request) -> dict[str, Any]:
    gateway = gateway_of(request)
    await gateway.backends.first_poll()
    if gateway.speakers and model == SPEAKERS_MODEL:
        return speakers_model(gateway.speakers)
    return _model(gateway, model, gateway.catalog.find(model, gateway.backends.discovered()))


@router.post("/v1/models/{model:path}/load", responses=errors(401, 403, 404, 429, 503, 504))
async def load_model(model: str, request: Request) -> dict[str, Any]:
    """Loads a model before it is needed, for example when the user presses the key of a dictation app. Returns the
    model's state at once."""
    gateway = gateway_of(request)
    if gateway.speakers and model == SPEAKERS_MODEL:
        await gateway.speakers.load()
        return speakers_model(gateway.speakers)
    route = gateway.catalog.find(model, gateway.backends.discovered())
    await gateway.backends[route.backend].load(route.engine_model)
    return _model(gateway, model, route)


@router.post("/v1/models/{model:path}/unload", responses=errors(400, 401, 403, 404, 429, 503, 504))
async def unload_model(model: str, request: Request) -> dict[str, Any]:
    """Frees the model's memory in all replicas, after the requests that they have accepted. Its weights stay on disk;
    the next request may load it again."""
    gateway = gateway_of(request)
    if gateway.speakers and model == SPEAKERS_MODEL:
        await gateway.speakers.unload()
        return speakers_model(gateway.speakers)
    route = gateway.catalog.find(model, gateway.backends.discovered())
    await gateway.backends[route.backend].unload(route.engine_model)
    return _model(gateway, model, route)


@router.delete("/v1/models/{model:path}", responses=errors(400, 401, 403, 404, 409, 429, 503, 504))
async def remove_model(model: str, request: Request) -> dict[str, Any]:
    """Unloads a model and removes its weights from the disk. Like OpenAI's route, it returns `deleted`."""
    gateway = gateway_of(request)
    if gateway.speakers and model == SPEAKERS_MODEL:
        await gateway.speakers.remove()
        return speakers_model(gateway.speakers) | {"deleted": True}
    route = gateway.catalog.find(model, gateway.backends.discovered())
    if model in gateway.catalog.aliases:
        message = f"`{model}` is another name of `{route.model}`. To remove its weights, name that model."
        raise ServiceError(ErrorCode.INVALID_REQUEST, message, param="model")
    await gateway.backends[route.backend].remove(route.engine_model)
    return _model(gateway, model, route) | {"deleted": True}


def _model(gateway: Gateway, model: str, route: Route) -> dict[str, Any]:
    backend = gateway.backends[route.backend]
    described = _described(model, backend.spec.service_name, route.engine_model)
    if backend.problem:
        return described | {"state": "unreachable", "reason": backend.problem.reason, "remedy": backend.problem.remedy}
    info = backend.info(route.engine_model)
    if info is None:
        return described | {"state": "absent", "reason": f"{backend.spec.service_name} has not loaded the model yet"}
    return described | _info(gateway, info)


def speakers_model(speakers: SpeakerService) -> dict[str, Any]:
    """Returns the model of speaker-service with its state, in the form of the list's models."""
    described = _described(SPEAKERS_MODEL, NAME, SPEAKERS_MODEL)
    if info := speakers.model:
        return described | info.model_dump(mode="json", exclude={"id", "capabilities"})
    if problem := speakers.problem:
        return described | {"state": "unreachable", "reason": problem.reason, "remedy": problem.remedy}
    return described | {"state": "unreachable", "reason": f"{NAME} was not asked yet"}


def _described(model: str, service: str, engine_model: str) -> dict[str, Any]:
    return {
        "id": model,
        "object": "model",
        "created": CREATED,
        "owned_by": service,
        "shutdown_date": None,
        "engine_model": engine_model,
    }


def _info(gateway: Gateway, info: ModelInfo) -> dict[str, Any]:
    """Returns what the engine reports of a model, and whether requests for it may ask for speakers: then it is the same
    for every model."""
    fields = info.model_dump(mode="json", exclude={"id"})
    fields["capabilities"]["speakers"] = _have_speakers(gateway)
    return fields


def _have_speakers(gateway: Gateway) -> bool:
    return gateway.speakers is not None and gateway.speakers.problem is None
