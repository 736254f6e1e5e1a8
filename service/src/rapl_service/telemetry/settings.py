"""The settings of metrics and logs, which every service has."""

from typing import Literal

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from rapl_service.log import LogFormat

MetricsReaders = Literal["local", "clients", "off"]


class TelemetrySettings(BaseSettings):
    """One variable sets all services, so these names have no service's prefix."""

    model_config = SettingsConfigDict(use_attribute_docstrings=True)

    log_format: LogFormat = Field("text", validation_alias=AliasChoices("RAPL_LOG_FORMAT"))
    """`text`: `name=value` pairs. `json`: one JSON object per line. `auto`: `text` on a terminal, otherwise `json`; the
    images set it."""
    metrics: MetricsReaders = Field("local", validation_alias=AliasChoices("RAPL_METRICS"))
    """Who may read `/metrics`. `local`: programs on this machine, and clients with a key. `clients`: everyone who may
    use the service. `off`: nothing is measured, and there is no `/metrics`."""
