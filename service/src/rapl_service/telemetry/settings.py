"""The settings of metrics and logs, which every service has."""

from typing import Literal

from pydantic import AliasChoices, Field

from rapl_service.log import LogFormat
from rapl_service.settings.base import EnvironmentSettings

MetricsReaders = Literal["local", "clients", "off"]


class TelemetrySettings(EnvironmentSettings):
    """One variable sets all services, so these names have no service's prefix."""

    log_format: LogFormat = Field(default="text", validation_alias=AliasChoices("RAPL_LOG_FORMAT"))
    """`text`: `name=value` pairs. `json`: one JSON object per line. `auto`: `text` on a terminal, otherwise `json`; the
    images set it."""
    metrics: MetricsReaders = Field(default="local", validation_alias=AliasChoices("RAPL_METRICS"))
    """Who may read `/metrics`. `local`: programs on this machine, and clients with a key. `clients`: everyone who may
    use the service. `off`: nothing is measured, and there is no `/metrics`."""
