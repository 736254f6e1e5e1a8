"""What every service's `FastAPI` application is made with."""

from fastapi.telemetry import TelemetryConfig

NO_TELEMETRY: TelemetryConfig = {
    "tracing": False, "metrics": False, "logs": False, "operation_spans": False, "auto_configure": False,
}  # fmt: skip
"""For every `FastAPI`: an environment variable of somebody else's must not have it tell what a private server does."""
