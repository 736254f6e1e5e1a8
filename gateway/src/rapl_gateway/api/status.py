"""GET /v1/status: what the gateway and its services do now."""

import time
from importlib.metadata import version
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from pydantic import BaseModel
from rapl_protocol.errors import ServiceError

from rapl_gateway.api.openapi import errors
from rapl_gateway.backends.backend import Backend
from rapl_gateway.backends.replica import Replica
from rapl_gateway.gateway import Gateway, gateway_of

router = APIRouter()


class ReplicaStatus(BaseModel):
    """One process of a service."""

    host: str
    """Host and port of its URL."""
    state: str
    """`ok`, `unreachable`, or `unknown` before the first poll."""
    reason: str | None = None
    """Why it is unreachable."""
    remedy: str | None = None
    running_segments: int | None = None
    """Segments that the gateway has sent to it and that have not ended; null for preprocess-service."""
    parallel: int | None = None
    """How many segments it transcribes at once."""
    memory_bytes: int | None = None
    """Memory of its processes; null if it reports none."""


class BackendStatus(BaseModel):
    """An engine and the processes that run it."""

    name: str
    service: str
    queued_audio_s: float
    """Seconds of audio that it has accepted and not finished."""
    replicas: list[ReplicaStatus]


class Problem(BaseModel):
    subject: str
    """The service or the model that does not work."""
    reason: str
    remedy: str | None = None


class Status(BaseModel):
    version: str
    uptime_s: float
    default_model: str
    running_requests: int
    """Transcriptions in progress."""
    stored_upload_bytes: int
    """Bytes of uploads that are in temporary files now."""
    queued_audio_s: float
    """The sum of the backends."""
    preprocess: ReplicaStatus
    backends: list[BackendStatus]
    problems: list[Problem]


@router.get("/v1/status", responses=errors(401, 403))
async def status(request: Request) -> Status:
    gateway = gateway_of(request)
    await gateway.backends.first_poll()
    preprocess, backends = _preprocess(gateway), [_backend(backend) for backend in gateway.backends]
    return Status(
        version=version("rapl-gateway"),
        uptime_s=round(time.monotonic() - gateway.started_at, 1),
        default_model=gateway.catalog.default_model,
        running_requests=len(gateway.running),
        stored_upload_bytes=gateway.storage.used_bytes,
        queued_audio_s=round(sum(backend.queued_audio_s for backend in backends), 3),
        preprocess=preprocess,
        backends=backends,
        problems=_problems(gateway, preprocess, backends),
    )


def _preprocess(gateway: Gateway) -> ReplicaStatus:
    service = gateway.preprocess.service
    if gateway.preprocess.problem is None:
        return ReplicaStatus(host=_host(service.base_url), state="ok")
    return ReplicaStatus(
        host=_host(service.base_url), state="unreachable", reason=gateway.preprocess.problem, remedy=service.remedy
    )


def _backend(backend: Backend) -> BackendStatus:
    return BackendStatus(
        name=backend.name,
        service=backend.spec.service_name,
        queued_audio_s=round(backend.scheduler.queued.total_s, 3),
        replicas=[_replica(replica, backend.spec.parallel) for replica in backend.replicas],
    )


def _replica(replica: Replica, parallel: int | None) -> ReplicaStatus:
    host, running = _host(replica.address), replica.segments
    if problem := replica.problem:
        return ReplicaStatus(
            host=host,
            state="unreachable",
            reason=problem.reason,
            remedy=problem.remedy,
            running_segments=running,
        )
    if not replica.was_polled:
        return ReplicaStatus(host=host, state="unknown", running_segments=running)
    return ReplicaStatus(
        host=host,
        state="ok",
        running_segments=running,
        parallel=parallel or replica.parallel,
        memory_bytes=replica.memory_bytes,
    )


def _problems(gateway: Gateway, preprocess: ReplicaStatus, backends: list[BackendStatus]) -> list[Problem]:
    """Returns the unreachable processes, and why the default model cannot be used."""
    processes = [(gateway.preprocess.service.name, preprocess)]
    processes += [(backend.service, replica) for backend in backends for replica in backend.replicas]
    found = [
        Problem(subject=name, reason=replica.reason, remedy=replica.remedy)
        for name, replica in processes
        if replica.reason
    ]
    return [*found, *_default_model_problem(gateway)]


def _default_model_problem(gateway: Gateway) -> list[Problem]:
    try:
        route = gateway.catalog.resolve(None, gateway.backends.discovered())
    except ServiceError as error:
        return [Problem(subject=gateway.catalog.default_model, reason=error.message)]
    info = gateway.backends[route.backend].info(route.engine_model)
    if info is None or info.reason is None or gateway.backends[route.backend].problem:
        return []
    return [Problem(subject=route.model, reason=f"{info.state.value}: {info.reason}", remedy=info.remedy)]


def _host(url: str) -> str:
    """Host and port, without the user name and the password that a URL may have."""
    return urlsplit(url).netloc.rpartition("@")[2]
