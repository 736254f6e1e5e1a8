"""What an operator can set, each as an environment variable `RAPL_MLX_...`."""

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from rapl_mlx.access import is_loopback
from rapl_mlx.models.catalog import ModelList, split_list
from rapl_mlx.models.memory import machine_bytes

_MEMORY_FRACTION = 0.6
"""The rest is for whoever works on the machine."""
DEFAULT_MODEL = "mlx-community/Qwen3-ASR-1.7B-8bit"


def _parse_models(value: Any) -> Any:
    return ModelList.parse(value) if isinstance(value, str) else value


def _parse_ids(value: Any) -> Any:
    if value == "none":
        return ()
    return split_list(value) if isinstance(value, str) else value


Ids = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parse_ids)]


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="RAPL_MLX_",
        frozen=True,
        env_ignore_empty=True,
        arbitrary_types_allowed=True,
        use_attribute_docstrings=True,
    )

    host: str = "127.0.0.1"
    """Address to listen on. Other machines reach one that is not loopback, which therefore needs a token."""
    port: int = Field(default=8030, ge=0, le=65535)
    """Port to listen on."""
    token: SecretStr | None = Field(default=None, validate_default=True)
    """What callers must send as `Authorization: Bearer`; unset asks for none, and is for loopback only."""
    allowed_hosts: Ids = ()
    """Names, by commas, by which it may be called besides addresses, `localhost` and `host.docker.internal`."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severity that is logged."""

    models: Annotated[ModelList, NoDecode, BeforeValidator(_parse_models)] = ModelList.parse(DEFAULT_MODEL)
    """Models that may be asked for, by commas: hub ids (`@revision` pins one), `id=/absolute/folder`, patterns."""
    preload: Ids | None = None
    """Made ready at start, one after the other; "none" is none, and unset is the first that is no pattern."""
    trust_code: Ids = ()
    """Models whose repositories may run their own Python code in this process."""
    model_ttl_s: float = Field(default=1800, ge=0, validation_alias=AliasChoices("RAPL_MODEL_TTL"))
    """Seconds after which a model that nobody used is unloaded; 0 is never. Those in RAPL_MLX_PRELOAD stay."""
    memory_limit_mb: int | None = Field(default=None, ge=1)
    """MiB that all models together may have; the least recently used one goes first. Unset is 60 % of the machine's."""
    model_memory_limit_mb: int | None = Field(default=None, ge=1)
    """MiB to which one model's process may grow before it is started again; unset is what all may have together."""

    max_queue: int = Field(default=64, ge=1)
    """Requests that may wait for one model; the next is answered 429."""
    load_wait_s: float = Field(default=20, ge=0)
    """How long a request waits for a model that is only loading, before it is told to come back."""
    load_timeout_s: float = Field(default=600, gt=0)
    """From weights on disk to ready. A model that takes longer is given up."""
    deadline_base_s: float = Field(default=30, gt=0)
    """How long a request may run, however short its audio."""
    deadline_per_audio_s: float = Field(default=4, ge=0)
    """How much longer for each second of audio; after that its process is killed."""
    # MLX's own limit is about 95 % of the memory: 12.6 GB in 1.6 minutes were seen.
    # Source: https://github.com/stenolabs/stenoai/issues/465
    cache_limit_mb: int = Field(default=512, ge=0)
    """MiB of freed buffers that MLX keeps within one request; they are given back after it."""

    @field_validator("token")
    @classmethod
    def _token_where_others_reach_it(cls, token: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if token is None and not is_loopback(info.data.get("host", "")):
            raise ValueError("it must be set, for RAPL_MLX_HOST is an address that other machines reach")
        return token

    @field_validator("preload")
    @classmethod
    def _preload_is_listed(cls, preload: tuple[str, ...] | None, info: ValidationInfo) -> tuple[str, ...] | None:
        models = info.data.get("models")
        if preload and isinstance(models, ModelList):
            for model_id in preload:
                if model_id not in models.by_id:
                    raise ValueError(f"{model_id!r} is not in RAPL_MLX_MODELS")
        return preload

    @property
    def memory_limit_bytes(self) -> int:
        return self.memory_limit_mb << 20 if self.memory_limit_mb else int(_MEMORY_FRACTION * machine_bytes())

    @property
    def model_memory_limit_bytes(self) -> int:
        return self.model_memory_limit_mb << 20 if self.model_memory_limit_mb else self.memory_limit_bytes

    @property
    def preload_ids(self) -> tuple[str, ...]:
        if self.preload is None:
            return tuple(source.id for source in self.models.sources[:1])
        return self.preload
