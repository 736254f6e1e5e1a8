"""Puts the gateway together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from rapl_protocol.http import NO_TELEMETRY, Patience, RequestMiddleware, install_error_handlers
from starlette.middleware.cors import CORSMiddleware

from rapl_gateway import health, model_routes, transcriptions
from rapl_gateway.access import ApiKeys, cors_policy
from rapl_gateway.catalog import ModelCatalog
from rapl_gateway.exposure import require_keys_beyond_loopback
from rapl_gateway.gateway import open_gateway
from rapl_gateway.neighbours import Neighbours
from rapl_gateway.paths import CanonicalPath
from rapl_gateway.settings import Settings
from rapl_gateway.stopping import LastWord
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
    app.add_middleware(Neighbours, hosts=settings.allowed_hosts, origins=settings.cors_origins)
    app.add_middleware(LastWord)
    app.add_middleware(ServerTiming)
    app.add_middleware(Patience)
    app.add_middleware(RequestMiddleware)
    for routes in (transcriptions, model_routes, health):
        app.include_router(routes.router)
    return app
