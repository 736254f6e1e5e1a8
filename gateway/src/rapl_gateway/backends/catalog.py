"""The model catalog: the models that the gateway offers, and the backend of each. `rapl.toml` changes the built-in
catalog."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Literal, Self

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_service.calls.remedies import START_MLX, START_SERVICES

from rapl_gateway.backends.catalog_file import BackendEntry, CatalogContent, CatalogFile
from rapl_gateway.settings import Settings, lines_of, split_urls

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
"""Names of `OPENAI_NAMES` that promise speakers. While speaker-service does not run, they are served in the formats
without speakers, which OpenAI has too, and are listed only if the catalog file defines them."""
_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)*", re.ASCII)
_MAX_SHOWN = 200
Problem = tuple[tuple[str, ...], str]
"""The keys in the catalog file that lead to a mistake, and what is wrong."""


@dataclass(frozen=True, slots=True)
class BackendSpec:
    """How a backend is reached."""

    service_name: str
    urls: tuple[str, ...]
    remedy: str
    kind: Literal["rapl", "openai"] = "rapl"
    token: str | None = field(default=None, repr=False)
    parallel: int | None = None
    is_optional: bool = False
    """Whether it is no problem that the engine does not run, unless a request needs it."""

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
    """Aliases that are served, but listed only if requests may ask for speakers."""
    _patterns: list[Route] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        patterns = [route for route in self.routes.values() if _is_pattern(route.model)]
        object.__setattr__(self, "_patterns", patterns)

    @classmethod
    def load(cls, settings: Settings) -> Self:
        """Returns the built-in catalog with the changes of the catalog file, if the file exists.

        Raises:
            ValueError: the file is invalid, or names a model or backend that is not defined. The message has a line
                for each mistake, with the file's name and the number of the line.
        """
        source = CatalogFile.read(settings.catalog_file())
        file = source.content
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
        if problems := catalog._problems(source, settings):
            raise ValueError("\n".join(problems))
        return catalog

    def ids(self, *, have_speakers: bool = False) -> list[str]:
        """Returns every public id that is listed: models first, then aliases. Patterns are not.

        Args:
            have_speakers: whether requests may ask for speakers now.
        """
        models = [model for model in self.routes if not _is_pattern(model)]
        return [*models, *(alias for alias in self.aliases if have_speakers or alias not in self.unlisted)]

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

    def _problems(self, source: CatalogFile, settings: Settings) -> list[str]:
        places = [*_missing_keys(source.content), *self._inconsistencies(source.content)]
        lines = [source.problem(place, message) for place, message in places]
        if message := self._default_problem():
            if settings.default_model:
                end = "" if message.endswith("?") else "."
                lines.append(f"RAPL_DEFAULT_MODEL: {message}{end} The models are {', '.join(self.routes)}")
            else:
                lines.append(source.problem(["default_model"], message))
        return lines

    def _inconsistencies(self, file: CatalogContent) -> Iterator[Problem]:
        for model, entry in file.models.items():
            if entry.backend not in self.backends:
                message = f"no backend is called {entry.backend!r}. There are {', '.join(self.backends)}"
                yield ("models", model, "backend"), f"{message}; or define [backends.{entry.backend}]"
            for name in entry.fallback:
                if self._find(self.aliases.get(name, name)) is None:
                    yield ("models", model, "fallback"), f"fallback: no model is called {name!r}{self._nearest(name)}"
        for alias, model in file.aliases.items():
            if self._find(model) is None:
                yield ("aliases", alias), self._alias_problem(alias, model, file.aliases)

    def _alias_problem(self, alias: str, model: str, aliases: Mapping[str, str]) -> str:
        chain = [alias, model]
        while chain[-1] in aliases and chain[-1] not in chain[:-1]:
            chain.append(aliases[chain[-1]])
        if chain[-1] in chain[:-1]:
            return f"the aliases {' -> '.join(chain)} are a circle. An alias must name a model"
        if len(chain) > 2 and self._find(chain[-1]):
            return f"{model!r} is an alias too. Write the model's own name: {alias} = {chain[-1]!r}"
        return f"no model is called {model!r}{self._nearest(model)}"

    def _default_problem(self) -> str | None:
        name = self.default_model
        model = self.aliases.get(name, name)
        if self._find(model) is not None:
            return None
        if model == name and name in self.aliases:
            own = DEFAULT_MODELS[SENSEVOICE]
            return f"{name!r} is another name for the default model. Write a model's own name, such as {own!r}"
        return f"no model is called {name!r}{self._nearest(name)}"

    def _nearest(self, model: str) -> str:
        near = get_close_matches(model, [*self.routes, *self.aliases], n=1)
        return f". Is it {near[0]!r}?" if near else f'. Define it below a line [models."{model}"]'


def _is_id(model: str) -> bool:
    """Returns whether this can be the id of a model on a hub. Such an id is safe in a path, a header and a log."""
    return len(model) <= _MAX_SHOWN and _ID.fullmatch(model) is not None and ".." not in model


def _is_pattern(model: str) -> bool:
    return "*" in model or "?" in model


def _backends(settings: Settings) -> dict[str, BackendSpec]:
    token = settings.token_for_mlx()
    return {
        SENSEVOICE: BackendSpec("sensevoice-service", split_urls(settings.sensevoice_url), START_SERVICES),
        MLX: BackendSpec("mlx-service", split_urls(settings.mlx_url), START_MLX, token=token, is_optional=True),
    }


def _spec(name: str, entry: BackendEntry) -> BackendSpec:
    """Raises: ValueError: the file with the key is no text."""
    token = os.environ.get(entry.key_env) if entry.key_env else None
    if entry.key_file:
        token = next(iter(lines_of(entry.key_file, f"{name}.key_file")), None)
    return BackendSpec(name, entry.url, entry.remedy, entry.kind, token, entry.parallel)


def _missing_keys(file: CatalogContent) -> Iterator[Problem]:
    for name, entry in file.backends.items():
        if entry.key_env and not os.environ.get(entry.key_env):
            message = f"backend {name!r} needs a key in the environment variable {entry.key_env}, which is not set"
            yield ("backends", name, "key_env"), message


def _built_in_routes() -> list[Route]:
    return [
        Route(DEFAULT_MODELS[SENSEVOICE], DEFAULT_MODELS[SENSEVOICE], SENSEVOICE),
        Route(DEFAULT_MODELS[MLX], DEFAULT_MODELS[MLX], MLX),
        Route("rapl/selftest", "rapl/selftest", SENSEVOICE),
        Route("mlx-community/*", "mlx-community/*", MLX),
    ]


def _default_model(settings: Settings, file: CatalogContent) -> str:
    if settings.default_model:
        return settings.default_model
    if settings.local_model:
        return settings.local_model
    if settings.backend:
        return DEFAULT_MODELS[settings.backend]
    return file.default_model or DEFAULT_MODELS[SENSEVOICE]
