"""The model catalog: the models that the gateway offers, and the backend of each. `rapl.toml` changes the built-in
catalog."""

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field
from rapl_protocol.errors import ErrorCode, ServiceError, reason_of
from rapl_service.calls.remedies import START_MLX, START_SERVICES

from rapl_gateway.settings import BaseUrl, Settings, split_urls

SENSEVOICE = "sensevoice"
MLX = "mlx"
DEFAULT_MODELS = {SENSEVOICE: "iic/SenseVoiceSmall", MLX: "mlx-community/Qwen3-ASR-1.7B-8bit"}
"""The default model of each engine."""
OPENAI_NAMES = (
    "whisper-1",
    "gpt-4o-transcribe",
    "gpt-4o-mini-transcribe",
    "gpt-4o-mini-transcribe-2025-12-15",
    "gpt-4o-transcribe-diarize",
    "gpt-transcribe",
    "gpt-live-transcribe",
    "gpt-realtime-whisper",
)
"""Model names that are hard-coded in clients. Each is an alias of the default model."""
DIARIZING_NAMES = frozenset({"gpt-4o-transcribe-diarize"})
"""Names of `OPENAI_NAMES` that promise speakers. RAPL serves them in the formats without speakers, which OpenAI has
too. It lists them only if the catalog file defines them: no model of the built-in catalog distinguishes speakers."""
_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)*", re.ASCII)
_MAX_SHOWN = 200


class _BackendEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: BaseUrl | list[BaseUrl]
    """URL of one process, or a list of several that serve the same models."""
    kind: Literal["rapl", "openai"] = "rapl"
    """`rapl`: an engine of RAPL. `openai`: any server with OpenAI's transcription API."""
    key_env: str | None = None
    """Name of the environment variable that holds the key for this server."""
    parallel: int | None = Field(None, ge=1)
    """How many segments one process works on at once. Overrides what the process reports."""
    remedy: str = "Look at its log."


class _ModelEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    backend: str
    """Name of the backend that serves the model."""
    id: str | None = None
    """The engine's id of the model, if it differs from the public id."""
    fallback: list[str] = []
    """Models that are used instead while the engine of this model cannot be reached."""


class _File(BaseModel):
    """The contents of `rapl.toml`."""

    model_config = ConfigDict(extra="forbid")

    default_model: str | None = None
    unknown_model: Literal["error", "default"] = "error"
    backends: dict[str, _BackendEntry] = {}
    models: dict[str, _ModelEntry] = {}
    aliases: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class BackendSpec:
    """How a backend is reached."""

    service_name: str
    urls: tuple[str, ...]
    remedy: str
    kind: Literal["rapl", "openai"] = "rapl"
    token: str | None = field(default=None, repr=False)
    parallel: int | None = None

    @property
    def url(self) -> str:
        return ", ".join(self.urls)


@dataclass(frozen=True, slots=True)
class Route:
    """The backend and the engine's model that serve a public model id."""

    model: str
    """The model's public id."""
    engine_model: str
    """The engine's id of the model."""
    backend: str
    """Name of the backend."""
    fallback: tuple[str, ...] = ()
    """Public ids of the models that are used instead while the engine of this model cannot be reached."""


@dataclass(frozen=True)
class ModelCatalog:
    backends: Mapping[str, BackendSpec]
    routes: Mapping[str, Route]
    """By public id. A key with `*` or `?` is a pattern of ids."""
    aliases: Mapping[str, str]
    """Alias -> public id."""
    default_model: str
    unknown_is_default: bool = False
    unlisted: frozenset[str] = frozenset()
    """Aliases that are served but not listed."""
    _patterns: list[Route] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        patterns = [route for route in self.routes.values() if _is_pattern(route.model)]
        object.__setattr__(self, "_patterns", patterns)

    @classmethod
    def load(cls, settings: Settings) -> Self:
        """Returns the built-in catalog with the changes of the catalog file, if the file exists.

        Raises:
            ValueError: the file is invalid, or names a model or backend that is not defined; the message names it.
        """
        file = _read(settings.config)
        backends = _backends(settings) | {name: _spec(name, entry) for name, entry in file.backends.items()}
        default = _default_model(settings, file)
        routes = {route.model: route for route in _built_in_routes()}
        if settings.local_model and settings.local_model not in routes:
            routes[settings.local_model] = Route(
                settings.local_model, settings.local_model, settings.backend or SENSEVOICE
            )
        for model, entry in file.models.items():
            routes[model] = Route(model, entry.id or model, entry.backend, tuple(entry.fallback))
        catalog = cls(
            backends=backends,
            routes=routes,
            aliases=dict.fromkeys(OPENAI_NAMES, default) | file.aliases,
            default_model=default,
            unlisted=DIARIZING_NAMES - file.aliases.keys() - file.models.keys(),
            unknown_is_default=(settings.unknown_model or file.unknown_model) == "default",
        )
        catalog._require_consistent()
        return catalog

    def ids(self) -> list[str]:
        """Returns every public id that is listed: models first, then aliases. Patterns are not."""
        models = [model for model in self.routes if not _is_pattern(model)]
        return [*models, *(alias for alias in self.aliases if alias not in self.unlisted)]

    def resolve(self, model: str | None, discovered: Iterable[Route] = ()) -> Route:
        """Finds the route of a request for `model`; None or "" is the default model.

        Args:
            model: as the client sent it.
            discovered: routes of further models that backends reported.

        Raises:
            ServiceError: MODEL_NOT_FOUND, unless `unknown_model` is `default`.
        """
        discovered = list(discovered)
        try:
            return self.find(model or self.default_model, discovered)
        except ServiceError:
            if not self.unknown_is_default:
                raise
            return self.find(self.default_model, discovered)

    def find(self, model: str, discovered: Iterable[Route] = ()) -> Route:
        """Returns the route of the model with exactly this id or alias.

        Raises:
            ServiceError: MODEL_NOT_FOUND, with the model's name.
        """
        found = self._find(self.aliases.get(model, model), discovered)
        if found is None:
            message = f"The model `{model[:_MAX_SHOWN]}` does not exist. GET /v1/models lists the available models."
            raise ServiceError(ErrorCode.MODEL_NOT_FOUND, message, param="model")
        return found

    def with_fallbacks(self, route: Route, discovered: Iterable[Route] = ()) -> list[Route]:
        """Returns the route, followed by the routes of its fallback models."""
        discovered = list(discovered) if route.fallback else ()
        return [route, *(self.find(model, discovered) for model in route.fallback)]

    def engine_models(self, backend: str) -> list[str]:
        """Returns the engine's ids of the models that the catalog has for this backend."""
        return [r.engine_model for r in self.routes.values() if r.backend == backend and not _is_pattern(r.model)]

    def _find(self, model: str, discovered: Iterable[Route] = ()) -> Route | None:
        if model in self.routes and not _is_pattern(model):
            return self.routes[model]
        for route in discovered:
            if route.model == model:
                return route
        for route in self._patterns if _is_id(model) else ():
            if fnmatchcase(model, route.model):
                return Route(model, model, route.backend, route.fallback)
        return None

    def _require_consistent(self) -> None:
        for route in self.routes.values():
            if route.backend not in self.backends:
                raise ValueError(f"model {route.model!r} uses the backend {route.backend!r}, which is not defined")
            for model in route.fallback:
                if self._find(self.aliases.get(model, model)) is None:
                    raise ValueError(f"model {route.model!r} has the fallback {model!r}, but no model has this name")
        for alias, model in self.aliases.items():
            if self._find(model) is None:
                raise ValueError(f"alias {alias!r} points to {model!r}, but no model has this name")
        if self._find(self.default_model) is None and self.default_model not in self.aliases:
            raise ValueError(f"the default model {self.default_model!r} is not defined")


def _is_id(model: str) -> bool:
    """Returns whether this can be the id of a model on a hub. Such an id is safe in a path, a header and a log."""
    return len(model) <= _MAX_SHOWN and _ID.fullmatch(model) is not None and ".." not in model


def _is_pattern(model: str) -> bool:
    return "*" in model or "?" in model


def _read(path: Path) -> _File:
    if not path.exists():
        return _File()
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return _File.model_validate(content)
    except ValueError as error:
        raise ValueError(f"{path}: {reason_of(error)}") from None


def _backends(settings: Settings) -> dict[str, BackendSpec]:
    token = settings.mlx_token.get_secret_value() if settings.mlx_token else None
    return {
        SENSEVOICE: BackendSpec("sensevoice-service", split_urls(settings.sensevoice_url), START_SERVICES),
        MLX: BackendSpec("mlx-service", split_urls(settings.mlx_url), START_MLX, token=token),
    }


def _spec(name: str, entry: _BackendEntry) -> BackendSpec:
    token = os.environ.get(entry.key_env) if entry.key_env else None
    if entry.key_env and not token:
        raise ValueError(f"backend {name!r} needs a key in the environment variable {entry.key_env}, which is not set")
    urls = entry.url if isinstance(entry.url, list) else split_urls(entry.url)
    if not urls:
        raise ValueError(f"backend {name!r} has no url")
    return BackendSpec(name, tuple(urls), entry.remedy, entry.kind, token, entry.parallel)


def _built_in_routes() -> list[Route]:
    return [
        Route(DEFAULT_MODELS[SENSEVOICE], DEFAULT_MODELS[SENSEVOICE], SENSEVOICE),
        Route(DEFAULT_MODELS[MLX], DEFAULT_MODELS[MLX], MLX),
        Route("rapl/selftest", "rapl/selftest", SENSEVOICE),
        Route("mlx-community/*", "mlx-community/*", MLX),
    ]


def _default_model(settings: Settings, file: _File) -> str:
    if settings.default_model:
        return settings.default_model
    if settings.local_model:
        return settings.local_model
    if settings.backend:
        return DEFAULT_MODELS[settings.backend]
    return file.default_model or DEFAULT_MODELS[SENSEVOICE]
