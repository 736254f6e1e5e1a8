"""Puts the gateway together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from rapl_service.http.app import NO_TELEMETRY
from rapl_service.http.body import BodyTimeout
from rapl_service.http.errors import install_error_handlers
from rapl_service.http.middleware import RequestMiddleware
from starlette.middleware.cors import CORSMiddleware

from rapl_gateway.api import health, transcriptions
from rapl_gateway.api import models as model_routes
from rapl_gateway.api.paths import CanonicalPath
from rapl_gateway.api.shutdown import ShutdownResponder
from rapl_gateway.backends.catalog import ModelCatalog
from rapl_gateway.gateway import open_gateway
from rapl_gateway.security.api_keys import ApiKeys, cors_policy
from rapl_gateway.security.host_and_origin import HostAndOriginCheck
from rapl_gateway.security.startup_checks import require_keys_beyond_loopback
from rapl_gateway.settings import Settings
from rapl_gateway.timing import ServerTiming


def create_app(settings: Settings) -> FastAPI:
    """Raises: ValueError, where the model catalog or the file of API keys is wrong, or others could come in."""
    require_keys_beyond_loopback(settings)
    catalog, keys = ModelCatalog.load(settings), settings.keys()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_gateway(settings, catalog) as gateway:
            app.state.gateway = gateway
            yield

    app = FastAPI(
        title="RAPL", lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False, telemetry=NO_TELEMETRY
    )
    install_error_handlers(app)
    # The last one added is the first to see a request.
    app.add_middleware(transcriptions.DirectRoutes)
    app.add_middleware(CanonicalPath)
    if keys:
        app.add_middleware(ApiKeys, keys=keys)
    if settings.cors_origins:
        app.add_middleware(CORSMiddleware, **cors_policy(settings.cors_origins))
    app.add_middleware(HostAndOriginCheck, hosts=settings.allowed_hosts, origins=settings.cors_origins)
    app.add_middleware(ShutdownResponder)
    app.add_middleware(ServerTiming)
    app.add_middleware(BodyTimeout)
    app.add_middleware(RequestMiddleware)
    for routes in (transcriptions, model_routes, health):
        app.include_router(routes.router)
    return app
