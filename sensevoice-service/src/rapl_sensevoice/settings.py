"""Every setting, from environment variables with the prefix RAPL_SENSEVOICE_."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from rapl_sensevoice.cpu_quota import cpu_quota

Hub = Literal["modelscope", "huggingface"]


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="RAPL_SENSEVOICE_", frozen=True, env_ignore_empty=True, use_attribute_docstrings=True
    )

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8020
    """Port to listen on; 0 takes a free one."""
    model_dir: Path = Path("~/.cache/rapl/models")
    """Where `prepare-model` keeps weights; the server only reads it."""
    hub: Hub = "modelscope"
    """Where `prepare-model` downloads from."""
    revision: str = "master"
    """Branch, tag or commit to download; "master" is the hub's newest, until a manifest has pinned one."""
    device: str = "cpu"
    """torch's name of the device, such as "cpu" or "cuda:0"."""
    threads: Annotated[int, Field(ge=1)] = Field(default_factory=cpu_quota)
    """Threads of one computation; by default the cores that this process may use."""
    max_queue: Annotated[int, Field(ge=1)] = 32
    """Requests that one model may hold at once, the one in work included; one more is answered with 429."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severity that is logged."""

    @field_validator("model_dir")
    @classmethod
    def _without_tilde(cls, path: Path) -> Path:
        return path.expanduser()

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, level: object) -> object:
        return level.upper() if isinstance(level, str) else level
