"""The settings of preprocess-service, from environment variables."""

from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict
from rapl_service.telemetry.settings import TelemetrySettings


class Settings(TelemetrySettings):
    model_config = SettingsConfigDict(env_prefix="RAPL_PREPROCESS_")

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(8010, ge=0, le=65535)
    """Port to listen on."""
    max_upload_bytes: int = Field(1 << 30, gt=0)
    """Largest media file, in bytes. Larger ones get 413."""
    max_duration_s: float = Field(12 * 3600.0, gt=0)
    """Longest audio, in seconds. Longer audio gets 413."""
    workers: int = Field(2, ge=1, le=64)
    """Decoding processes that are kept ready. More are started when more files are decoded at once."""
    max_workers: int = Field(32, ge=1, le=1024)
    """Most decoding processes, one for each file that is being decoded. Further files wait."""
    worker_memory_bytes: int = Field(512 << 20, ge=128 << 20)
    """Most memory for decoding one file, in bytes. A file that needs more gets 400. Only Linux enforces it."""
    worker_stall_s: float = Field(8.0, gt=0, le=3600)
    """Most CPU seconds for decoding the next segment or the next 30 s of audio. A file that needs more gets 400."""
    worker_cpu_s: float = Field(900.0, gt=0)
    """Most CPU seconds for decoding one file. A file that needs more gets 400."""
    max_live_sessions: int = Field(1_000, ge=0, le=100_000)
    """Most sessions of live audio at the same time. Further ones get 429."""
    decoder_start: Literal["auto", "fork", "spawn"] = "auto"
    """How a decoding process starts. `fork` takes milliseconds and shares memory, and is safe only on Linux. `spawn`
    starts a new Python process, which takes up to a second. `auto` is `fork` on Linux and `spawn` on other systems."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """DEBUG also logs health checks."""
