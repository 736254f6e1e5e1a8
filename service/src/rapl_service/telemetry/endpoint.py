"""GET /metrics, and who may read it."""

from fastapi import FastAPI, Request, Response
from prometheus_client.exposition import choose_encoder
from rapl_protocol.errors import ErrorCode, ServiceError
from starlette.datastructures import Headers
from starlette.types import Scope

from rapl_service.http.hosts import is_loopback, without_port
from rapl_service.telemetry.metrics import Metrics
from rapl_service.telemetry.settings import MetricsReaders

METRICS_PATH = "/metrics"
HAS_KEY = "rapl_has_key"
"""Key in a request's scope: whether the request has one of the service's keys. Missing if the service needs none."""
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "via")


def add_metrics_route(app: FastAPI, metrics: Metrics, readers: MetricsReaders) -> None:
    @app.get(METRICS_PATH, include_in_schema=False)
    async def read_metrics(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        _require_reader(request.scope, readers)
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(metrics.registry), headers={"content-type": content_type})


def is_local(scope: Scope) -> bool:
    """Whether a program on this machine sent the request to a local name, and neither for a web page nor as a proxy."""
    client, headers = scope.get("client"), Headers(scope=scope)
    if not client or not is_loopback(client[0]) or "origin" in headers:
        return False
    host = without_port(headers.get("host", "").lower())
    return is_loopback(host) and not any(name in headers for name in _FORWARDED)


def _require_reader(scope: Scope, readers: MetricsReaders) -> None:
    """Raises: ServiceError, INVALID_API_KEY or FORBIDDEN, if this client may not read the metrics."""
    has_key: bool | None = scope.get(HAS_KEY)
    if has_key or (has_key is None and readers == "clients") or (readers == "local" and is_local(scope)):
        return
    if has_key is None:
        message = "Only this machine may read the metrics. To allow every client, set RAPL_METRICS=clients."
        raise ServiceError(ErrorCode.FORBIDDEN, message)
    message = "Only clients with a key may read the metrics from here: send it as `Authorization: Bearer <key>`."
    raise ServiceError(ErrorCode.INVALID_API_KEY, message)
