"""Creates the clients of engine processes: RAPL's own engines, and any server with OpenAI's transcription API."""

from collections.abc import Callable, Sequence

from rapl_service.calls.call import Http, Service
from rapl_service.calls.clients import TranscriberClient

from rapl_gateway.backends.catalog import BackendSpec
from rapl_gateway.backends.openai_server import OpenAIServer
from rapl_gateway.backends.replica import EngineClient


class RaplEngine(TranscriberClient):
    poll_interval_s = 2.0
    has_bounded_queue = True


def engine_client(http: Http, spec: BackendSpec, engine_models: Sequence[str]) -> Callable[[Service], EngineClient]:
    """Returns a function that creates the client of one process of this backend.

    Args:
        http: the HTTP clients of the gateway.
        spec: the backend.
        engine_models: the engine's ids of the models that the catalog has for this backend.
    """
    if spec.kind == "openai":
        return lambda service: OpenAIServer(http.streams, service, engine_models)
    return lambda service: RaplEngine(http, service)
