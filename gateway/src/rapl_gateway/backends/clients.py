"""Makes the client of one engine process: one of RAPL's own, or any server that speaks OpenAI's transcription API."""

from collections.abc import Callable, Sequence

from rapl_service.calls.call import Http, Service
from rapl_service.calls.clients import TranscriberClient

from rapl_gateway.backends.catalog import BackendSpec
from rapl_gateway.backends.openai_server import OpenAIServer
from rapl_gateway.backends.replica import EngineClient


class RaplEngine(TranscriberClient):
    poll_interval_s = 2.0


def engine_client(http: Http, spec: BackendSpec, engine_models: Sequence[str]) -> Callable[[Service], EngineClient]:
    """Returns what makes the client of one process of this backend.

    Args:
        http: the connections.
        spec: the backend.
        engine_models: the engine's own ids of the models that the catalog names for it.
    """
    if spec.kind == "openai":
        return lambda service: OpenAIServer(http.streams, service, engine_models)
    return lambda service: RaplEngine(http, service)
