"""Traces: the span of the current request, as the rest of the code sees it.

Without a collector (`OTEL_EXPORTER_OTLP_ENDPOINT`) OpenTelemetry is not imported, and there is no current span.
"""

import os
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rapl_service.telemetry.opentelemetry import Tracer

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_NO_SPAN = nullcontext()
AttributeValue = str | int | float | bool


class CurrentSpan(Protocol):
    def headers(self) -> dict[str, str]:
        """The W3C headers that make the next service's span a child of this one."""
        ...

    def child(self, name: str, attributes: dict[str, AttributeValue]) -> AbstractContextManager[object]:
        """A span inside this one. In its context it is the current span."""
        ...

    def part(self, name: str) -> AbstractContextManager[object]:
        """A span inside this one that has no spans inside it."""
        ...

    def describe(self, attributes: dict[str, AttributeValue]) -> None:
        """Adds attributes to this span."""
        ...


CURRENT_SPAN: ContextVar[CurrentSpan | None] = ContextVar("rapl_current_span", default=None)
"""Tasks inherit it from the task that creates them. It is None in a request that is not traced."""


def span(name: str, **attributes: AttributeValue) -> AbstractContextManager[object]:
    """A span inside the current one; nothing if the request is not traced. Never give it a text or a file name."""
    current = CURRENT_SPAN.get()
    return _NO_SPAN if current is None else current.child(name, attributes)


def describe(**attributes: AttributeValue) -> None:
    """Adds attributes to the current span, if there is one. Never give it a text or a file name."""
    if (current := CURRENT_SPAN.get()) is not None:
        current.describe(attributes)


def tracer_from_environment(service: str) -> "Tracer | None":
    """The tracer of this process, if a collector is set.

    Args:
        service: the name of the service in traces, unless OTEL_SERVICE_NAME is set.

    Raises:
        ValueError: a collector is set, and OpenTelemetry is not installed.
    """
    variable = next((name for name in _ENDPOINTS if os.environ.get(name)), None)
    if variable is None:
        return None
    try:
        from rapl_service.telemetry.opentelemetry import Tracer
    except ModuleNotFoundError as error:
        message = f"{variable} is set, but {error.name} is missing: install the extra `traces` of the service"
        raise ValueError(message) from error
    return Tracer(service)
