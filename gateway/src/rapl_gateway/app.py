"""Puts the gateway together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from rapl_protocol.http import RequestMiddleware, install_error_handlers

from rapl_gateway import health, model_routes, transcriptions
from rapl_gateway.catalog import ModelCatalog
from rapl_gateway.gateway import open_gateway
from rapl_gateway.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """Raises: ValueError, where the model catalog is wrong."""
    catalog = ModelCatalog.load(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_gateway(settings, catalog) as gateway:
            app.state.gateway = gateway
            yield

    app = FastAPI(title="RAPL", lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False)
    install_error_handlers(app)
    app.add_middleware(RequestMiddleware)
    for routes in (transcriptions, model_routes, health):
        app.include_router(routes.router)
    return app
