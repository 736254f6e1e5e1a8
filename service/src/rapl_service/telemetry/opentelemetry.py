"""Spans by OpenTelemetry, sent to the collector that `OTEL_EXPORTER_OTLP_ENDPOINT` names.

The standard variables of OpenTelemetry apply, such as OTEL_TRACES_SAMPLER. No span records an exception, because its
message may quote a text.
"""

import os
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from rapl_protocol.errors import ServiceError
from starlette.types import ASGIApp, Receive, Scope, Send

from rapl_service.http.scope import ROUTE
from rapl_service.telemetry.context import LINE_IDS
from rapl_service.telemetry.tracing import CURRENT_SPAN, AttributeValue

_PROPAGATOR = TraceContextTextMapPropagator()
_W3C = {b"traceparent": "traceparent", b"tracestate": "tracestate"}
_ATTRIBUTES = {"model": "rapl.model", "backend": "rapl.backend", "audio_s": "rapl.audio_s", "error": "error.type"}
"""Fields of the request's log line that its span has too."""


class Tracer:
    """Makes the spans of one service process, and sends them in a thread of its own."""

    def __init__(self, service: str) -> None:
        named = "OTEL_SERVICE_NAME" in os.environ
        resource = Resource.create({} if named else {"service.name": service})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("rapl")

    @property
    def middleware(self) -> type["TraceMiddleware"]:
        return TraceMiddleware

    def start(self, name: str, context: Any, kind: SpanKind = SpanKind.INTERNAL) -> Span:
        return self._tracer.start_span(name, context, kind)

    def close(self) -> None:
        """Sends the spans that have ended. It may take seconds if the collector does not answer."""
        self._provider.shutdown()


class RecordedSpan:
    """A `CurrentSpan` that is sampled."""

    def __init__(self, tracer: Tracer, recorded: Span) -> None:
        self._tracer = tracer
        self._recorded = recorded
        self._context = trace.set_span_in_context(recorded)

    def headers(self) -> dict[str, str]:
        return _headers(self._context)

    @contextmanager
    def child(self, name: str, attributes: dict[str, AttributeValue]) -> Generator[None]:
        with self.part(name) as recorded:
            inner = RecordedSpan(self._tracer, recorded)
            inner.describe(attributes)
            CURRENT_SPAN.set(inner)
            try:
                yield
            finally:
                # Not by a token: an async generator may be closed in another context.
                CURRENT_SPAN.set(self)

    def describe(self, attributes: dict[str, AttributeValue]) -> None:
        self._recorded.set_attributes({f"rapl.{key}": value for key, value in attributes.items()})

    @contextmanager
    def part(self, name: str) -> Generator[Span]:
        recorded = self._tracer.start(name, self._context)
        try:
            yield recorded
        except ServiceError as error:
            recorded.set_attribute("error.type", error.code.value)
            recorded.set_status(StatusCode.ERROR)
            raise
        finally:
            recorded.end()


class UnsampledSpan:
    """A `CurrentSpan` that is not sampled. The other services learn that, so that they do not sample it either."""

    def __init__(self, of_request: Span) -> None:
        self._headers = _headers(trace.set_span_in_context(of_request))

    def headers(self) -> dict[str, str]:
        return self._headers

    def child(self, name: str, attributes: dict[str, AttributeValue]) -> AbstractContextManager[None]:
        return nullcontext()

    def part(self, name: str) -> AbstractContextManager[None]:
        return nullcontext()

    def describe(self, attributes: dict[str, AttributeValue]) -> None:
        pass


class TraceMiddleware:
    """ASGI middleware: one span for each request that does something, as a child of the caller's span if it names one.

    Health checks, lists and other reading requests have a span only if their caller has one.
    """

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        carrier = {_W3C[name]: value.decode("latin-1") for name, value in scope["headers"] if name in _W3C}
        method = scope.get("method", "WEBSOCKET")
        if method in ("GET", "HEAD") and not carrier:
            await self._app(scope, receive, send)
            return
        of_request = self._tracer.start(method, _PROPAGATOR.extract(carrier), SpanKind.SERVER)
        LINE_IDS.set({**LINE_IDS.get(), "trace_id": format(of_request.get_span_context().trace_id, "032x")})
        is_sampled = of_request.is_recording()
        CURRENT_SPAN.set(RecordedSpan(self._tracer, of_request) if is_sampled else UnsampledSpan(of_request))
        try:
            await self._app(scope, receive, send)
        except Exception:
            of_request.set_status(StatusCode.ERROR)
            raise
        finally:
            if is_sampled:
                _describe(of_request, scope, method)
            of_request.end()


def _describe(of_request: Span, scope: Scope, method: str) -> None:
    """Adds what is known at the end of the request. A path that no route has is a text of the client."""
    fields = scope["rapl_log"]
    route = fields.get(ROUTE, "unknown")
    of_request.update_name(f"{method} {route}")
    of_request.set_attributes({"http.request.method": method, "http.route": route})
    of_request.set_attribute("rapl.request_id", scope["rapl_request_id"])
    of_request.set_attributes({name: fields[field] for field, name in _ATTRIBUTES.items() if field in fields})
    if "error" in fields:
        of_request.set_status(StatusCode.ERROR)


def _headers(context: Any) -> dict[str, str]:
    headers: dict[str, str] = {}
    _PROPAGATOR.inject(headers, context)
    return headers
