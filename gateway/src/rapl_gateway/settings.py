"""The gateway's settings, from the environment."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

BaseUrl = Annotated[str, Field(pattern=r"^https?://[^/\s,]+"), BeforeValidator(lambda url: str(url).rstrip("/"))]


def split_urls(text: str) -> tuple[str, ...]:
    return tuple(part.strip().rstrip("/") for part in text.split(",") if part.strip())


def _urls(text: str) -> str:
    if not text or any(re.match(r"https?://[^/\s,]+", url) is None for url in split_urls(text)):
        raise ValueError("it must be a URL such as http://127.0.0.1:8020, or several, separated by commas")
    return text


BaseUrls = Annotated[str, AfterValidator(_urls)]


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="RAPL_", frozen=True, env_ignore_empty=True, use_attribute_docstrings=True
    )

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(8000, ge=0, le=65535)
    """Port to listen on."""
    config: Path = Path("rapl.toml")
    """File with the model catalog; what it does not say is built in, so it need not exist."""
    default_model: str | None = None
    """Model for requests that name none; goes before the file, and before BACKEND and LOCAL_MODEL."""
    unknown_model: Literal["error", "default"] | None = None
    """What to do with a model that nobody knows: answer 404, or use the default model."""
    preprocess_url: BaseUrl = "http://127.0.0.1:8010"
    """Where preprocess-service listens."""
    sensevoice_url: BaseUrls = "http://127.0.0.1:8020"
    """Where sensevoice-service listens; several addresses, by commas or behind one name, are its replicas."""
    mlx_url: BaseUrls = "http://127.0.0.1:8030"
    """Where mlx-service listens; likewise."""
    mlx_token: SecretStr | None = None
    """What mlx-service wants to be shown, where it asks for a token."""
    restart_wait_s: float = Field(8.0, ge=0)
    """How long a request waits for an engine that was well just now; one away for longer is a 503 at once. One that is
    back and still loads is waited for."""
    max_queue_s: float = Field(1800.0, gt=0)
    """Audio that may wait for an engine, in seconds for each piece that it works on at once; more is a 429."""
    max_upload_bytes: int = Field(1 << 30, gt=0)
    """Largest request body."""
    speech_detection: Literal["on", "off"] = "on"
    """`off` sends everything to the engines, speech or not: for speech that is hard to tell from noise."""
    deadline_base_s: float = Field(60.0, gt=0)
    """How long an engine may take for a segment, however short it is."""
    deadline_per_audio_s: float = Field(10.0, ge=0)
    """How much longer for each second of audio in the segment."""
    api_keys: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split)] = ()
    """Keys, separated by commas, one of which every request must send; none: no key is asked for."""
    api_keys_file: Path | None = None
    """File with one key a line, in addition."""
    allow_anyone: Literal["yes", "no"] = "no"
    """`yes` starts even where other machines can reach it and no key is asked for."""
    publish: str | None = None
    """In a container: the host's address at which its port is published, which says who can reach it."""
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = ()
    """Names, separated by commas, by which clients call it, besides its own; addresses and localhost always work."""
    tls_cert: Path | None = None
    """Certificate, with those between it and its root, in PEM: answers HTTPS instead of HTTP."""
    tls_key: Path | None = None
    """The certificate's private key, in PEM."""
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = ()
    """Origins, separated by commas, whose web pages may call the API from a browser; `*` is every web page."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """DEBUG also logs health checks."""

    # The original single-process server's settings, so that its users can move over unchanged.
    backend: Literal["sensevoice", "mlx"] | None = Field(None, validation_alias=AliasChoices("BACKEND"))
    """Which engine's own default model is the default: sensevoice or mlx."""
    local_model: str | None = Field(None, validation_alias=AliasChoices("LOCAL_MODEL"))
    """The default model's id, on the engine that BACKEND names."""

    def deadline_s(self, audio_s: float) -> float:
        """How long an engine may take for `audio_s` seconds of audio."""
        return self.deadline_base_s + self.deadline_per_audio_s * audio_s

    def keys(self) -> list[str]:
        """Every API key, from the setting and from the file.

        Raises:
            ValueError: the file cannot be read.
        """
        keys = [key.get_secret_value() for key in self.api_keys]
        if self.api_keys_file:
            try:
                lines = self.api_keys_file.read_text(encoding="utf-8").splitlines()
            except OSError as error:
                raise ValueError(f"RAPL_API_KEYS_FILE: {error.strerror}: {error.filename}") from error
            keys += [line.strip() for line in lines if line.strip()]
        return keys
