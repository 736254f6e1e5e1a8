"""Builds the gateway's FastAPI application."""

import logging
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI
from rapl_service.http.app import service_app
from rapl_service.http.body import BodyTimeout
from rapl_service.http.websocket import WebSocketPaths
from rapl_service.telemetry.metrics import Metrics
from starlette.middleware import Middleware

from rapl_gateway.api import health, status, transcriptions
from rapl_gateway.api import models as model_routes
from rapl_gateway.api.compatible import asr_webservice, whisper_cpp
from rapl_gateway.api.paths import CanonicalPath
from rapl_gateway.api.shutdown import ShutdownResponder
from rapl_gateway.backends.catalog import ModelCatalog
from rapl_gateway.collector import GatewayCollector
from rapl_gateway.gateway import Gateway, open_gateway
from rapl_gateway.metrics import TranscriptionMetrics
from rapl_gateway.page.files import page_files
from rapl_gateway.page.routes import page_router
from rapl_gateway.realtime import routes as realtime_routes
from rapl_gateway.realtime import secret_routes
from rapl_gateway.realtime.collector import SessionsCollector
from rapl_gateway.realtime.figures import RealtimeMetrics
from rapl_gateway.realtime.sessions import Sessions
from rapl_gateway.security.api_keys import ApiKeys
from rapl_gateway.security.client_secrets import ClientSecrets, client_secrets
from rapl_gateway.security.cross_origin import AllowedOrigins, CrossOrigin
from rapl_gateway.security.host_and_origin import HostAndOriginCheck
from rapl_gateway.security.startup_checks import require_keys_beyond_loopback
from rapl_gateway.settings import Settings
from rapl_gateway.timing import ServerTiming

log = logging.getLogger("rapl")

WEBSOCKET_PATHS: tuple[str, ...] = (realtime_routes.WEBSOCKET_PATH, *realtime_routes.OTHER_FAMILIES)
"""The paths that accept WebSocket connections. A handshake at any other path gets 404."""


def create_app(settings: Settings) -> FastAPI:
    """Returns the gateway's application.

    Raises:
        ValueError: the model catalog or the key file is invalid, or the gateway would listen on a network address
            without API keys.
    """
    require_keys_beyond_loopback(settings)
    catalog, keys = ModelCatalog.load(settings), settings.keys()
    shared_key = settings.realtime_secrets_key
    secrets = client_secrets(shared_key.get_secret_value() if shared_key else None)
    page = page_files()

    metrics = None if settings.metrics == "off" else Metrics(lambda model: _has_model(app.state.gateway, model))
    of_transcriptions = TranscriptionMetrics(metrics) if metrics else None
    of_turns = RealtimeMetrics(metrics, of_transcriptions) if metrics and of_transcriptions else None

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with open_gateway(settings, catalog, of_transcriptions) as gateway:
            app.state.gateway = gateway
            app.state.realtime = sessions = Sessions(gateway, secrets, of_turns)
            for url in settings.published_urls():
                log.info("RAPL is at %s; clients of OpenAI's API use %s/v1", url, url)
            if metrics:
                metrics.registry.register(GatewayCollector(gateway))
                metrics.registry.register(SessionsCollector(sessions))
            yield

    origins = AllowedOrigins(settings.cors_origins)
    app = service_app(
        "RAPL",
        lifespan,
        name="gateway",
        openapi_url="/openapi.json",
        outermost=[Middleware(CrossOrigin, origins=origins)],  # so that every error can be read too
        middleware=_middleware(settings, _keys(keys, secrets, page), origins, of_transcriptions),
        metrics=metrics,
        metrics_readers=settings.metrics,
    )
    compatible = (asr_webservice, whisper_cpp)
    for routes in (transcriptions, *compatible, model_routes, status, secret_routes, realtime_routes, health):
        app.include_router(routes.router)
    app.include_router(page_router(page))
    return app


def _has_model(gateway: Gateway, model: str) -> bool:
    """Returns whether a model is in the catalog, or a backend reported it. A pattern allows more than these."""
    return model in gateway.catalog.routes or any(backend.info(model) for backend in gateway.backends)


def _keys(keys: Sequence[str], secrets: ClientSecrets, page: Iterable[str]) -> list[Middleware]:
    return [Middleware(ApiKeys, keys=keys, secrets=secrets, open_paths=page)] if keys else []


def _middleware(
    settings: Settings,
    keys: Sequence[Middleware],
    origins: AllowedOrigins,
    metrics: TranscriptionMetrics | None,
) -> list[Middleware]:
    """Returns the middleware in the order in which it handles a request."""
    return [
        Middleware(BodyTimeout),
        Middleware(ServerTiming, metrics=metrics),
        Middleware(ShutdownResponder),
        Middleware(HostAndOriginCheck, hosts=settings.own_names(), origins=origins),
        *keys,
        Middleware(CanonicalPath),
        Middleware(transcriptions.DirectRoutes),
        Middleware(WebSocketPaths, paths=WEBSOCKET_PATHS),
    ]
