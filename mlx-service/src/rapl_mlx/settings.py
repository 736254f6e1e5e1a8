"""Settings of mlx-service, each an environment variable `RAPL_MLX_...`."""

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict
from rapl_service.listening.access import require_token_beyond_loopback
from rapl_service.telemetry.settings import TelemetrySettings

from rapl_mlx.models.catalog import ModelList, split_list
from rapl_mlx.models.memory import machine_bytes

_MEMORY_FRACTION = 0.6
"""Share of the machine's memory that models may use by default. The rest is for other programs."""
DEFAULT_MODEL = "mlx-community/Qwen3-ASR-1.7B-8bit"


def _parse_models(value: Any) -> Any:
    return ModelList.parse(value) if isinstance(value, str) else value


def _parse_ids(value: Any) -> Any:
    if value == "none":
        return ()
    return split_list(value) if isinstance(value, str) else value


Ids = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parse_ids)]


class Settings(TelemetrySettings):
    model_config = SettingsConfigDict(env_prefix="RAPL_MLX_", arbitrary_types_allowed=True)

    host: str = "127.0.0.1"
    """Address to listen on. Any address other than loopback requires a token."""
    port: int = Field(default=8030, ge=0, le=65535)
    """Port to listen on."""
    token: SecretStr | None = Field(default=None, validate_default=True)
    """Token that clients must send as `Authorization: Bearer`. Unset: no token is needed; only allowed on loopback."""
    allowed_hosts: Ids = ()
    """Allowed host names, separated by commas, besides IP addresses, `localhost` and `host.docker.internal`."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Lowest severity that is logged."""

    models: Annotated[ModelList, NoDecode, BeforeValidator(_parse_models)] = Field(
        default=ModelList.parse(DEFAULT_MODEL),
        examples=[DEFAULT_MODEL],
        json_schema_extra={"default_in_words": f"`{DEFAULT_MODEL}`"},
    )
    """Allowed models, separated by commas: Hugging Face ids (also `id@revision`), `id=/absolute/folder`, patterns."""
    preload: Ids | None = Field(default=None, examples=["none"])
    """Models to load at start, one after the other. "none": no model. Unset: the first model that is not a pattern."""
    trust_code: Ids = ()
    """Models that may run Python code from their repository."""
    model_ttl_s: float = Field(default=1800, ge=0, validation_alias=AliasChoices("RAPL_MODEL_TTL"))
    """Seconds without a request after which a model is unloaded; 0: never. Models in RAPL_MLX_PRELOAD stay loaded."""
    memory_limit_mb: int | None = Field(default=None, ge=1, examples=[16384])
    """MiB for all models. Beyond it the least recently used one is unloaded. Unset: 60 % of the machine's memory."""
    model_memory_limit_mb: int | None = Field(default=None, ge=1, examples=[8192])
    """MiB for the process of one model. A larger process is restarted. Unset: the limit for all models together."""

    max_queue: int = Field(default=64, ge=1)
    """Longest queue of one model, in requests. Beyond it requests get 429."""
    load_wait_s: float = Field(default=20, ge=0)
    """Seconds that a request waits for a loading model. After that it gets 503."""
    load_timeout_s: float = Field(default=600, gt=0)
    """Seconds that a model may take to load its weights from disk. A slower model fails."""
    deadline_base_s: float = Field(default=30, gt=0)
    """Seconds that a request may run, plus RAPL_MLX_DEADLINE_PER_AUDIO_S for each second of audio."""
    deadline_per_audio_s: float = Field(default=4, ge=0)
    """Additional seconds for each second of audio. If a request takes longer, the model's process is restarted."""
    # MLX's own limit is about 95 % of the memory; a growth of 12.6 GB in 1.6 minutes was reported.
    # Source: https://github.com/stenolabs/stenoai/issues/465
    cache_limit_mb: int = Field(default=512, ge=0)
    """MiB of freed buffers that MLX keeps for reuse during a request. They are released after the request."""

    @field_validator("token")
    @classmethod
    def _token_unless_loopback(cls, token: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        return require_token_beyond_loopback(token, info.data.get("host", ""), "RAPL_MLX_")

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
