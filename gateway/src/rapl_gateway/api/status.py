"""GET /v1/status: what the gateway and its services do now."""

import time
from importlib.metadata import version
from typing import Any, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from pydantic import BaseModel
from rapl_protocol.errors import ServiceError
from rapl_protocol.models import ModelInfo, ModelState
from rapl_service.calls.remedies import make_ready

from rapl_gateway.api.models import speakers_model
from rapl_gateway.api.openapi import errors
from rapl_gateway.backends.backend import Backend
from rapl_gateway.backends.catalog import Route
from rapl_gateway.backends.replica import Replica
from rapl_gateway.gateway import Gateway, gateway_of
from rapl_gateway.speakers.process import SpeakerProcess
from rapl_gateway.speakers.service import NAME, SpeakerService

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
    """Segments that the gateway has sent to it and that have not ended; of speaker-service, recordings. null for
    preprocess-service."""
    parallel: int | None = None
    """How many segments it transcribes at once."""
    memory_bytes: int | None = None
    """Memory of its processes; null if it reports none."""
    version: str | None = None
    """The version of RAPL that it has; null if it reports none."""


class BackendStatus(BaseModel):
    """An engine and the processes that run it."""

    name: str
    service: str
    queued_audio_s: float
    """Seconds of audio that it has accepted and not finished."""
    replicas: list[ReplicaStatus]


class SpeakersStatus(BaseModel):
    """speaker-service, which finds the speakers of recordings."""

    service: str
    model: dict[str, Any]
    """Its model, with the fields of a model in `GET /v1/models`."""
    replicas: list[ReplicaStatus]


class Problem(BaseModel):
    subject: str
    """The service or the model that does not work."""
    status: Literal["failed", "warning", "skipped"]
    """As in `rapl doctor`. `failed`: the default model cannot be used. `warning`: it can, but something else does not
    work. `skipped`: a part that was never there since the gateway started, and that the default model does not need."""
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
    speakers: SpeakersStatus | None
    """null if no speaker-service is configured."""
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
        speakers=gateway.speakers and _speakers(gateway.speakers),
        backends=backends,
        problems=_problems(gateway, preprocess),
    )


def _preprocess(gateway: Gateway) -> ReplicaStatus:
    service = gateway.preprocess.service
    if gateway.preprocess.problem is None:
        return ReplicaStatus(host=_host(service.base_url), state="ok", version=gateway.preprocess.version)
    return ReplicaStatus(
        host=_host(service.base_url), state="unreachable", reason=gateway.preprocess.problem, remedy=service.remedy
    )


def _speakers(speakers: SpeakerService) -> SpeakersStatus:
    return SpeakersStatus(
        service=NAME, model=speakers_model(speakers), replicas=[_speaker_process(each) for each in speakers.processes]
    )


def _speaker_process(process: SpeakerProcess) -> ReplicaStatus:
    host, running, report, problem = _host(process.address), process.running, process.last_report, process.problem
    if report is None:
        state = "unreachable" if process.was_polled else "unknown"
        reason, remedy = (problem.reason, problem.remedy) if problem else (None, None)
        return ReplicaStatus(host=host, state=state, reason=reason, remedy=remedy, running_segments=running)
    return ReplicaStatus(
        host=host,
        state="ok",
        running_segments=running,
        parallel=process.model and process.model.parallel,
        memory_bytes=report.memory_bytes,
        version=report.version,
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
        version=replica.version,
    )


def _problems(gateway: Gateway, preprocess: ReplicaStatus) -> list[Problem]:
    """Returns the unreachable processes, why the default model cannot be used, and the other models that failed."""
    found: list[Problem] = []
    if preprocess.reason:
        service = gateway.preprocess.service.name
        found.append(Problem(subject=service, status="failed", reason=preprocess.reason, remedy=preprocess.remedy))
    try:
        default = gateway.catalog.resolve(None, gateway.backends.discovered())
    except ServiceError as error:
        default = None
        found.append(Problem(subject=gateway.catalog.default_model, status="failed", reason=error.message))
    if gateway.speakers and gateway.speakers.was_polled and (problem := gateway.speakers.problem):
        status = "warning" if gateway.speakers.was_reached else "skipped"
        found.append(Problem(subject=NAME, status=status, reason=problem.reason, remedy=problem.remedy))
    for backend in gateway.backends:
        found += _process_problems(backend, is_needed=default is not None and default.backend == backend.name)
    if default:
        found += _default_model_problem(gateway.backends[default.backend], default)
    return found + _failed_models(gateway, default)


def _process_problems(backend: Backend, *, is_needed: bool) -> list[Problem]:
    """Returns the problem of each process of an engine that cannot be reached."""
    status = "warning"
    if backend.problem:
        was_never_there = not any(replica.was_reached for replica in backend.replicas)
        status = "failed" if is_needed else "skipped" if backend.spec.is_optional and was_never_there else "warning"
    return [
        Problem(subject=backend.spec.service_name, status=status, reason=problem.reason, remedy=problem.remedy)
        for replica in backend.replicas
        if (problem := replica.problem)
    ]


def _default_model_problem(backend: Backend, route: Route) -> list[Problem]:
    info = backend.info(route.engine_model)
    if backend.problem or info is None or info.state is ModelState.READY:
        return []
    return [_model_problem(route.model, info, backend, "failed")]


def _failed_models(gateway: Gateway, default: Route | None) -> list[Problem]:
    """Returns the problems of the models that failed, without the default model."""
    return [
        _model_problem(info.id, info, backend, "warning")
        for backend in gateway.backends
        if backend.problem is None
        for info in backend.models
        if info.state is ModelState.FAILED
        and (default is None or (info.id, backend.name) != (default.engine_model, default.backend))
    ]


def _model_problem(model: str, info: ModelInfo, backend: Backend, status: Literal["failed", "warning"]) -> Problem:
    reason = f"{info.state.value}: {info.reason}" if info.reason else info.state.value
    remedy = info.remedy or make_ready(info.state, backend.spec.service_name)
    return Problem(subject=model, status=status, reason=reason, remedy=remedy)


def _host(url: str) -> str:
    """Host and port, without the user name and the password that a URL may have."""
    return urlsplit(url).netloc.rpartition("@")[2]
