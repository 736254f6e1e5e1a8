"""The settings of preprocess-service, from the environment."""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="RAPL_PREPROCESS_", frozen=True, env_ignore_empty=True, use_attribute_docstrings=True
    )

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(8010, ge=0, le=65535)
    """Port to listen on."""
    max_upload_bytes: int = Field(1 << 30, gt=0)
    """Largest media file."""
    max_duration_s: float = Field(12 * 3600.0, gt=0)
    """Longest audio."""
    workers: int = Field(2, ge=1, le=64)
    """How many files are decoded at the same time; files beyond that take turns."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """DEBUG also logs health checks."""
