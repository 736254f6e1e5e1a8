"""Creates the `FastAPI` application of every service."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from rapl_service.http.errors import install_error_handlers
from rapl_service.http.middleware import HeadAsGet, RequestMiddleware, RouteRecorder
from rapl_service.telemetry.endpoint import add_metrics_route
from rapl_service.telemetry.metrics import Metrics
from rapl_service.telemetry.settings import MetricsReaders
from rapl_service.telemetry.tracing import tracer_from_environment

if TYPE_CHECKING:
    from rapl_service.telemetry.opentelemetry import Tracer

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

_NO_TELEMETRY: TelemetryConfig = {
    "tracing": False, "metrics": False, "logs": False, "operation_spans": False, "auto_configure": False,
}  # fmt: skip
"""Without it, the variable `FASTAPI_OTEL_AUTO_CONFIGURE` could make a private server export its traces."""


def service_app(
    title: str,
    lifespan: Lifespan,
    *,
    name: str,
    openapi_url: str | None = None,
    middleware: Sequence[Middleware] = (),
    outermost: Sequence[Middleware] = (),
    metrics: Metrics | None = None,
    metrics_readers: MetricsReaders = "local",
) -> FastAPI:
    """An application with request ids, a log line for each request, and every failure in OpenAI's error envelope.

    Args:
        title: the title of the OpenAPI document.
        lifespan: starts and stops what the routes use.
        name: the name of the service in traces, such as `gateway`.
        openapi_url: path of the OpenAPI document; None: it is not served.
        middleware: in the order in which they handle a request.
        outermost: middleware that sees every response, also those to failures; its own responses are not logged.
        metrics: what is measured; None: nothing, and there is no `/metrics`.
        metrics_readers: who may read `/metrics`.

    Raises:
        ValueError: a collector of traces is set, and the packages for it are missing.
    """
    tracer = tracer_from_environment(f"rapl-{name}")
    app = _Service(
        title=title,
        lifespan=_traced(lifespan, tracer) if tracer else lifespan,
        openapi_url=openapi_url,
        middleware=[
            *outermost,
            Middleware(RequestMiddleware, metrics=metrics),
            *([Middleware(tracer.middleware, tracer=tracer)] if tracer else []),
            Middleware(HeadAsGet),
            *middleware,
            Middleware(RouteRecorder),
        ],
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
    )
    install_error_handlers(app)
    if metrics:
        add_metrics_route(app, metrics, metrics_readers)
    return app


def _traced(lifespan: Lifespan, tracer: "Tracer") -> Lifespan:
    @asynccontextmanager
    async def closing_tracer(app: FastAPI) -> AsyncGenerator[None]:
        async with lifespan(app):
            yield
        await asyncio.to_thread(tracer.close)

    return closing_tracer


class _Service(FastAPI):
    """A `FastAPI` without lifespan events in the middleware: middleware handles only HTTP and WebSockets."""

    def build_middleware_stack(self) -> ASGIApp:
        stack = super().build_middleware_stack()

        def app(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            return (self.router if scope["type"] == "lifespan" else stack)(scope, receive, send)

        return app
