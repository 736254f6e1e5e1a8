"""The service: the engine behind its HTTP face."""

from fastapi import FastAPI
from rapl_protocol.server import transcriber_app

from rapl_sensevoice.runtime_funasr import FunAsrRuntime
from rapl_sensevoice.settings import Settings
from rapl_sensevoice.transcriber import SenseVoiceTranscriber


def create_app(settings: Settings) -> FastAPI:
    def make_runtime() -> FunAsrRuntime:
        return FunAsrRuntime(settings.device, settings.threads)

    return transcriber_app(SenseVoiceTranscriber(settings.model_dir, make_runtime, settings.max_queue))
