"""The HTTP application of mlx-service."""

from fastapi import FastAPI
from rapl_service.engine_app import transcriber_app
from starlette.middleware import Middleware

from rapl_mlx.access import Access
from rapl_mlx.settings import Settings
from rapl_mlx.transcriber import MlxTranscriber


def create_app(settings: Settings) -> FastAPI:
    token = settings.token.get_secret_value() if settings.token else None
    access = Middleware(Access, token=token, names=settings.allowed_hosts)
    return transcriber_app(
        MlxTranscriber(settings), middleware=[access], metrics_readers=settings.metrics, name="mlx-service"
    )
