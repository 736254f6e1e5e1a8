"""mlx-service: the engine's HTTP face around the models that the operator allows."""

from fastapi import FastAPI
from rapl_service.engine_app import transcriber_app
from starlette.middleware import Middleware

from rapl_mlx.access import Access
from rapl_mlx.settings import Settings
from rapl_mlx.transcriber import MlxTranscriber


def create_app(settings: Settings) -> FastAPI:
    app = transcriber_app(MlxTranscriber(settings))
    token = settings.token.get_secret_value() if settings.token else None
    # The innermost one, so that what it refuses has a request id and a line in the log too.
    app.user_middleware.append(Middleware(Access, token=token, names=settings.allowed_hosts))
    return app
