"""Creates the `FastAPI` application of every service."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from rapl_service.http.errors import install_error_handlers
from rapl_service.http.middleware import HeadAsGet, RequestMiddleware, RouteRecorder
from rapl_service.telemetry.endpoint import add_metrics_route
from rapl_service.telemetry.metrics import Metrics
from rapl_service.telemetry.settings import MetricsReaders

_NO_TELEMETRY: TelemetryConfig = {
    "tracing": False, "metrics": False, "logs": False, "operation_spans": False, "auto_configure": False,
}  # fmt: skip
"""Without it, the variable `FASTAPI_OTEL_AUTO_CONFIGURE` could make a private server export its traces."""


def service_app(
    title: str,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]],
    *,
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
        openapi_url: path of the OpenAPI document; None: it is not served.
        middleware: in the order in which they handle a request.
        outermost: middleware that sees every response, also those to failures; its own responses are not logged.
        metrics: what is measured; None: nothing, and there is no `/metrics`.
        metrics_readers: who may read `/metrics`.
    """
    app = _Service(
        title=title,
        lifespan=lifespan,
        openapi_url=openapi_url,
        middleware=[
            *outermost,
            Middleware(RequestMiddleware, metrics=metrics),
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


class _Service(FastAPI):
    """A `FastAPI` without lifespan events in the middleware: middleware handles only HTTP and WebSockets."""

    def build_middleware_stack(self) -> ASGIApp:
        stack = super().build_middleware_stack()

        def app(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            return (self.router if scope["type"] == "lifespan" else stack)(scope, receive, send)

        return app
