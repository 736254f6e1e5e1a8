"""mlx-service: the engine's HTTP face around the models that the operator allows."""

from fastapi import FastAPI
from rapl_protocol.server import transcriber_app

from rapl_mlx.settings import Settings
from rapl_mlx.transcriber import MlxTranscriber


def create_app(settings: Settings) -> FastAPI:
    return transcriber_app(MlxTranscriber(settings))
