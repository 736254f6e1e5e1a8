"""The gateway's settings, from the environment."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode, SettingsConfigDict
from rapl_service.telemetry.settings import TelemetrySettings

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
BaseUrl = Annotated[str, Field(pattern=r"^https?://[^/\s,]+"), BeforeValidator(lambda url: str(url).rstrip("/"))]

_COMPOSE_NAME = "gateway"
"""The gateway's name among the containers of docker-compose.yml. On another machine any host can have this name."""


def split_urls(text: str) -> tuple[str, ...]:
    return tuple(part.strip().rstrip("/") for part in text.split(",") if part.strip())


def _urls(text: str) -> str:
    if not text or any(re.match(r"https?://[^/\s,]+", url) is None for url in split_urls(text)):
        raise ValueError("it must be a URL such as http://127.0.0.1:8020, or several URLs separated by commas")
    return text


BaseUrls = Annotated[str, AfterValidator(_urls)]


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _origins(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_origin(text) for text in texts)


def _origin(text: str) -> str:
    """Returns an origin as browsers send it: in lower case, without a slash at its end and without the usual port.

    Raises:
        ValueError: no browser would send such an origin.
    """
    if text in ("*", "null"):
        return text
    origin = text.lower().removesuffix("/")
    if not _ORIGIN.fullmatch(origin):
        raise ValueError(f"{text!r} is not an origin. Write a scheme and a host, such as https://app.example, or `*`")
    usual_port = ":80" if origin.startswith("http:") else ":443" if origin.startswith("https:") else ""
    return origin.removesuffix(usual_port)


class Settings(TelemetrySettings):
    model_config = SettingsConfigDict(
        env_prefix="RAPL_", frozen=True, env_ignore_empty=True, use_attribute_docstrings=True
    )

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(8000, ge=0, le=65535)
    """Port to listen on."""
    config: Path = Path("rapl.toml")
    """File with the model catalog. Optional: everything in it has a default."""
    default_model: str | None = None
    """Model for requests that name none. Overrides the catalog file, BACKEND and LOCAL_MODEL."""
    unknown_model: Literal["error", "default"] | None = None
    """What a request for an unknown model gets: with `error` a 404, with `default` the default model."""
    preprocess_url: BaseUrl = "http://127.0.0.1:8010"
    """URL of preprocess-service."""
    sensevoice_url: BaseUrls = "http://127.0.0.1:8020"
    """URL of sensevoice-service. For several replicas, set several URLs, separated by commas, or one URL with a host
    name that has several addresses."""
    mlx_url: BaseUrls = "http://127.0.0.1:8030"
    """URL of mlx-service. Several replicas are set as for sensevoice-service."""
    mlx_token: SecretStr | None = None
    """Token that is sent to mlx-service."""
    restart_wait_s: float = Field(8.0, ge=0)
    """How long a request waits for an engine that has just stopped answering, in seconds; after that it gets 503. While
    an engine loads its model again after a restart, requests wait for it."""
    max_queue_s: float = Field(1800.0, gt=0)
    """Longest queue per engine slot, in seconds of audio. Beyond it requests get 429."""
    max_upload_bytes: int = Field(1 << 30, gt=0)
    """Largest request body, in bytes. Larger ones get 413."""
    max_stored_upload_bytes: int = Field(4 << 30, gt=0)
    """Most bytes in temporary files, those of all requests together. While others take the space, a large upload gets
    429. Uploads of up to 1 MiB need no file."""
    speech_detection: Literal["on", "off"] = "on"
    """`off` sends all audio to the engines, even audio without speech. Use it if noise makes speech hard to detect."""
    deadline_base_s: float = Field(60.0, gt=0)
    """Fixed part of the time that an engine has for a segment, in seconds."""
    deadline_per_audio_s: float = Field(10.0, ge=0)
    """Seconds that an engine has in addition for each second of audio in the segment."""
    api_keys: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split)] = ()
    """API keys, separated by commas. Every request must send one of them. Empty: no key is required."""
    api_keys_file: Path | None = None
    """File with further API keys, one per line."""
    allow_anyone: Literal["yes", "no"] = "no"
    """`yes` allows the gateway to listen on a network address without API keys."""
    publish: str | None = None
    """In a container: the host's address on which the container's port is published. If it is set, clients may use the
    host name `gateway`, which the gateway has among the containers of docker-compose.yml."""
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = ()
    """Further host names that clients may use, separated by commas. IP addresses and localhost always work."""
    tls_cert: Path | None = None
    """File with the TLS certificate and its chain, in PEM. If it is set, the gateway serves HTTPS instead of HTTP."""
    tls_key: Path | None = None
    """File with the private key of the TLS certificate, in PEM."""
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_origins)] = ()
    """Origins of web pages that may call the API, separated by commas. `*` allows every web page. Installed programs
    and browser extensions, whose origins have schemes of their own, always may."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """DEBUG also logs health checks."""

    # Settings of the single-process server that RAPL replaces: its users need not change them.
    backend: Literal["sensevoice", "mlx"] | None = Field(None, validation_alias=AliasChoices("BACKEND"))
    """Engine whose model is the default: sensevoice or mlx."""
    local_model: str | None = Field(None, validation_alias=AliasChoices("LOCAL_MODEL"))
    """The default model's id, on the engine that BACKEND names."""

    def deadline_s(self, audio_s: float) -> float:
        """Returns how many seconds an engine has for `audio_s` seconds of audio."""
        return self.deadline_base_s + self.deadline_per_audio_s * audio_s

    def own_names(self) -> tuple[str, ...]:
        """Returns the host names by which clients may call the gateway, besides those of every service."""
        return (*self.allowed_hosts, *((_COMPOSE_NAME,) if self.publish else ()))

    def keys(self) -> list[str]:
        """Returns every API key, from the setting and from the file.

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
