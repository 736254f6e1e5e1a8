"""The settings, read from environment variables with the prefix RAPL_SPEAKERS_."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict
from rapl_service.cpu_quota import cpu_quota
from rapl_service.listening.access import require_token_beyond_loopback
from rapl_service.telemetry.settings import TelemetrySettings

from rapl_speakers.engine.people import Rules


def _half_of_the_cores() -> int:
    return max(1, cpu_quota() // 2)


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


class Settings(TelemetrySettings):
    model_config = SettingsConfigDict(env_prefix="RAPL_SPEAKERS_", populate_by_name=True)

    host: str = "127.0.0.1"
    """Address to listen on. Any address other than loopback requires a token."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8040
    """Port to listen on; 0 selects a free port."""
    allow_anyone: bool = False
    """Allows other addresses without a token, for a network in which only the gateway reaches the service. Compose sets
    it."""
    token: SecretStr | None = Field(default=None, validate_default=True)
    """Token that clients must send as `Authorization: Bearer`. Unset: no token is needed; only allowed on loopback."""
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = ()
    """Allowed host names, separated by commas, besides IP addresses, `localhost` and `host.docker.internal`."""
    model_dir: Path = Path("~/.cache/rapl/models")
    """Directory of the weights. `prepare-speakers` writes it; the server only reads it, except to remove weights."""
    threads: Annotated[int, Field(ge=1)] = Field(
        default_factory=_half_of_the_cores,
        examples=[2],
        json_schema_extra={"default_in_words": "half of the cores that it may use"},
    )
    """Threads per computation. The default is half of the cores, so that transcription goes on beside it."""
    max_queue: Annotated[int, Field(ge=1)] = 16
    """Most requests at once. Further requests get 429."""
    same_person: Annotated[float, Field(ge=-1, le=1)] = Rules().same_person
    """Mean cosine from which voices are one person's. A higher value finds more people."""
    known_person: Annotated[float, Field(ge=-1, le=1)] = Rules().known_person
    """Cosine of a voice and a reference from which a person is the known one. A higher value names fewer people."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Lowest severity that is logged."""

    @field_validator("token")
    @classmethod
    def _token_unless_loopback(cls, token: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if info.data.get("allow_anyone"):
            return token
        return require_token_beyond_loopback(token, info.data.get("host", ""), "RAPL_SPEAKERS_")

    @field_validator("model_dir")
    @classmethod
    def _without_tilde(cls, path: Path) -> Path:
        return path.expanduser()

    @property
    def rules(self) -> Rules:
        return Rules(same_person=self.same_person, known_person=self.known_person)
