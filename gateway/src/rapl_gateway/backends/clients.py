"""The clients of one engine process: ours, and any other server that speaks OpenAI's transcription API."""

from collections.abc import Callable, Sequence

from rapl_service.calls.call import Http, Service
from rapl_service.calls.clients import TranscriberClient

from rapl_gateway.backends.catalog import BackendSpec
from rapl_gateway.backends.openai_server import OpenAIEngine
from rapl_gateway.backends.replica import EngineClient


class RaplEngine(TranscriberClient):
    poll_interval_s = 2.0


def engine_client(http: Http, spec: BackendSpec, engine_models: Sequence[str]) -> Callable[[Service], EngineClient]:
    """What makes the client of one process of this backend, of which these models are known."""
    if spec.kind == "openai":
        return lambda service: OpenAIEngine(http.streams, service, engine_models)
    return lambda service: RaplEngine(http, service)
