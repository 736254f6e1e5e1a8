"""The FastAPI application: SenseVoice behind the HTTP API that every engine has."""

from fastapi import FastAPI
from rapl_service.engine_app import transcriber_app

from rapl_sensevoice.runtimes.funasr import FunAsrRuntime
from rapl_sensevoice.runtimes.openvino import OpenVinoRuntime
from rapl_sensevoice.runtimes.runtime import Runtime
from rapl_sensevoice.settings import Settings
from rapl_sensevoice.transcriber import SenseVoiceTranscriber


def create_app(settings: Settings) -> FastAPI:
    def make_runtime() -> Runtime:
        if settings.runtime == "funasr":
            return FunAsrRuntime(settings.device, settings.threads)
        return OpenVinoRuntime(settings.precision, settings.threads)

    transcriber = SenseVoiceTranscriber(
        settings.model_dir, make_runtime, settings.max_queue, precision=settings.graph_precision
    )
    return transcriber_app(transcriber, metrics_readers=settings.metrics, name="sensevoice-service")
