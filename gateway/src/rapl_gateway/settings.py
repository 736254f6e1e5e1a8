"""The gateway's settings, from the environment."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode, SettingsConfigDict
from rapl_service.settings.base import ReadableFile
from rapl_service.settings.problems import without_password
from rapl_service.telemetry.settings import TelemetrySettings

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_URL = re.compile(r"https?://[^/\s,]+")

_CATALOG_NAME = "rapl.toml"
_CATALOG_FOLDER = Path("/etc/rapl")
"""Where the catalog file is in a container."""
_COMPOSE_NAME = "gateway"
"""The gateway's name among the containers of docker-compose.yml. On another machine any host can have this name."""

_ALL_ADDRESSES = {"0.0.0.0", "[::]"}


def split_urls(text: str) -> tuple[str, ...]:
    return tuple(part.strip().rstrip("/") for part in text.split(",") if part.strip())


def _url(text: str) -> str:
    if not _URL.match(text) or "," in text:
        raise ValueError(f"{without_password(text)!r} is not a URL. A URL begins with http:// or https://")
    return text.rstrip("/")


def _urls(text: str) -> str:
    for url in split_urls(text) or ("",):
        _url(url)
    return text


BaseUrl = Annotated[str, AfterValidator(_url)]
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
    model_config = SettingsConfigDict(env_prefix="RAPL_")

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(8000, ge=0, le=65535)
    """Port to listen on."""
    config: ReadableFile | None = Field(None, examples=["rapl.toml"])
    """File with the model catalog. Unset: `rapl.toml` in the checkout, or `/etc/rapl/rapl.toml`, if there is one."""
    root: Path = Field(Path(), json_schema_extra={"default_in_words": "the working directory"})
    """Folder of the checkout. `./rapl` sets it."""
    default_model: str | None = Field(None, examples=["mlx-community/Qwen3-ASR-1.7B-8bit"])
    """Model for requests that name none. Overrides the catalog file, BACKEND and LOCAL_MODEL."""
    unknown_model: Literal["error", "default"] | None = Field(None, examples=["default"])
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
    mlx_token_file: ReadableFile | None = Field(None, examples=["/run/secrets/mlx-token"])
    """File with that token, such as a secret of an orchestrator. RAPL_MLX_TOKEN overrides it."""
    speakers_url: BaseUrls | None = Field(None, examples=["http://127.0.0.1:8040"])
    """URL of speaker-service, which tells speakers apart. Several replicas are set as for sensevoice-service. Unset:
    requests for speakers get 400."""
    speakers_token: SecretStr | None = None
    """Token that is sent to speaker-service."""
    restart_wait_s: float = Field(8.0, ge=0)
    """How long a request waits for an engine that has just stopped answering, in seconds; after that it gets 503. While
    an engine loads its model again after a restart, requests wait for it."""
    drain_s: int = Field(30, ge=0, le=86_400)
    """How long the gateway finishes its running requests after SIGTERM, in seconds. Those that take longer get 503, so
    set it to the time of your longest recording. The orchestrator must allow more time before it sends SIGKILL."""
    max_queue_s: float = Field(1800.0, gt=0)
    """Longest queue per engine slot, in seconds of audio. Beyond it requests get 429."""
    max_upload_bytes: int = Field(1 << 30, gt=0)
    """Largest request body, in bytes. Larger ones get 413."""
    max_stored_upload_bytes: int = Field(4 << 30, gt=0)
    """Most bytes in temporary files, those of all requests together. While others take the space, a large upload gets
    429. Uploads of up to 1 MiB need no file."""
    speech_detection: bool = True
    """`off` sends all audio to the engines, even audio without speech. Use it if noise makes speech hard to detect."""
    deadline_base_s: float = Field(60.0, gt=0)
    """Fixed part of the time that an engine has for a segment, in seconds."""
    deadline_per_audio_s: float = Field(10.0, ge=0)
    """Seconds that an engine has in addition for each second of audio in the segment."""
    realtime_max_sessions: int = Field(200, ge=0)
    """Most realtime sessions at once. Further ones get 429."""
    realtime_max_client_sessions: int = Field(100, ge=0)
    """Most realtime sessions of one key at once; without keys, of one address. Further ones get 429."""
    realtime_max_session_s: float = Field(3600.0, gt=0)
    """Longest realtime session, in seconds. Then its turns are finished and its connection is closed."""
    realtime_max_turn_s: float = Field(900.0, gt=0)
    """Longest turn of a realtime session, in seconds. A longer one is committed and the next one begins. It is also how
    much audio of a session may wait for its text; a session with more is not read until it has less."""
    realtime_idle_s: float = Field(600.0, gt=0)
    """How long a realtime session may send nothing, in seconds. Then its connection is closed."""
    realtime_secrets_key: Annotated[SecretStr, Field(min_length=32)] | None = None
    """Key with which client secrets of realtime sessions are encrypted, of at least 32 characters. With the same key,
    each of several gateways accepts the secrets of the others. Unset: a gateway accepts only its own, until it ends."""
    subtitle_rules: bool = True
    """Whether `srt` and `vtt` keep the rules below where the engine gives word times. `off`: each segment of the engine
    is one cue of one line."""
    subtitle_max_line_chars: int = Field(42, ge=10, le=1000)
    """Widest line of subtitles, in characters. Full-width characters, as in Chinese, count as two."""
    subtitle_max_lines: int = Field(2, ge=1, le=10)
    """Most lines of one cue."""
    subtitle_max_cue_s: float = Field(7.0, ge=1, le=60)
    """Longest time that a cue is shown, in seconds."""
    subtitle_min_cue_s: float = Field(0.833, ge=0, le=10)
    """Shortest time that a cue is shown, in seconds."""
    subtitle_max_chars_per_s: float = Field(20.0, ge=1, le=1000)
    """Most characters of a cue for each second that it is shown. Full-width characters count as two."""
    api_keys: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split)] = ()
    """API keys, separated by commas. Every request must send one of them. Empty: no key is required."""
    api_keys_file: ReadableFile | None = Field(None, examples=["keys.txt"])
    """File with further API keys, one per line."""
    allow_anyone: bool = False
    """`on` allows the gateway to listen on a network address without API keys."""
    publish: str | None = Field(None, examples=["127.0.0.1"])
    """In a container: the host's address on which the container's port is published. If it is set, clients may use the
    host name `gateway`, which the gateway has among the containers of docker-compose.yml."""
    publish_port: int | None = Field(None, ge=1, le=65535, examples=[8000])
    """In a container: the host's port on which the container's port is published. The log names it at start."""
    publish_tls_port: int | None = Field(None, ge=1, le=65535, examples=[8443])
    """In a container: the same for HTTPS."""
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        (), examples=["stt.example.com"]
    )
    """Further host names that clients may use, separated by commas. IP addresses and localhost always work."""
    tls_cert: ReadableFile | None = Field(None, examples=["server.pem"])
    """File with the TLS certificate and its chain, in PEM. `./rapl cert` makes one. If it is set, the gateway serves
    HTTPS: on RAPL_TLS_PORT or, if that is not set, on RAPL_PORT instead of HTTP."""
    tls_key: ReadableFile | None = Field(None, examples=["server-key.pem"])
    """File with the private key of the TLS certificate, in PEM."""
    tls_port: int | None = Field(None, ge=1, le=65535, examples=[8443])
    """Port for HTTPS. RAPL_PORT then stays for HTTP."""
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_origins)] = Field(
        (), examples=["https://app.example"]
    )
    """Origins of web pages that may call the API, separated by commas. `*` allows every web page. Installed programs
    and browser extensions, whose origins have schemes of their own, always may."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """DEBUG also logs health checks."""

    # Settings of the single-process server that RAPL replaces: its users need not change them.
    backend: Literal["sensevoice", "mlx"] | None = Field(
        None, validation_alias=AliasChoices("BACKEND"), examples=["mlx"]
    )
    """Engine whose model is the default: sensevoice or mlx."""
    local_model: str | None = Field(None, validation_alias=AliasChoices("LOCAL_MODEL"))
    """The default model's id, on the engine that BACKEND names."""

    @property
    def speech_switch(self) -> Literal["on", "off"]:
        """`speech_detection` as preprocess-service's option."""
        return "on" if self.speech_detection else "off"

    def deadline_s(self, audio_s: float) -> float:
        """Returns how many seconds an engine has for `audio_s` seconds of audio."""
        return self.deadline_base_s + self.deadline_per_audio_s * audio_s

    def catalog_file(self) -> Path | None:
        """Returns RAPL_CONFIG, or else the first file that exists of those that its description names, or None."""
        usual = (folder / _CATALOG_NAME for folder in (self.root, _CATALOG_FOLDER))
        return self.config or next((file for file in usual if file.is_file()), None)

    def own_names(self) -> tuple[str, ...]:
        """Returns the host names by which clients may call the gateway, besides those of every service."""
        return (*self.allowed_hosts, *((_COMPOSE_NAME,) if self.publish else ()))

    def published_urls(self) -> tuple[str, ...]:
        """Returns the URLs of the container's published ports for this machine; empty outside a container."""
        if not self.publish:
            return ()
        host = "127.0.0.1" if self.publish in _ALL_ADDRESSES else self.publish
        ports = {"http": self.publish_port, "https": self.publish_tls_port}
        return tuple(f"{scheme}://{host}:{port}" for scheme, port in ports.items() if port)

    def keys(self) -> list[str]:
        """Returns every API key, from the setting and from the file.

        Raises:
            ValueError: the file cannot be read, or is no text.
        """
        keys = [key.get_secret_value() for key in self.api_keys]
        return keys + (lines_of(self.api_keys_file, "RAPL_API_KEYS_FILE") if self.api_keys_file else [])

    def token_for_mlx(self) -> str | None:
        """Returns the token of mlx-service, from the setting or from the file.

        Raises:
            ValueError: the file cannot be read, or is no text.
        """
        if self.mlx_token:
            return self.mlx_token.get_secret_value()
        return next(iter(lines_of(self.mlx_token_file, "RAPL_MLX_TOKEN_FILE")), None) if self.mlx_token_file else None


def lines_of(file: Path, setting: str) -> list[str]:
    """Returns the lines of a file with keys or a token, without empty ones.

    Args:
        file: the file.
        setting: where its path comes from, for messages.

    Raises:
        ValueError: the file cannot be read, or is no text.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ValueError(f"{setting}: {error.strerror}: {error.filename}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{setting}: it is not a text file in UTF-8, with one key per line") from error
    return [line.strip() for line in lines if line.strip()]
