"""The HTTP application of mlx-service."""

from fastapi import FastAPI
from rapl_service.engine_app import transcriber_app
from rapl_service.listening.access import Access
from starlette.middleware import Middleware

from rapl_mlx.settings import Settings
from rapl_mlx.transcriber import MlxTranscriber


def create_app(settings: Settings) -> FastAPI:
    name = "mlx-service"
    access = Middleware(Access, service=name, prefix="RAPL_MLX_", token=settings.token, names=settings.allowed_hosts)
    return transcriber_app(MlxTranscriber(settings), [access], settings.metrics, name)
