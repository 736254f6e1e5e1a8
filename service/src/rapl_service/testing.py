"""Helpers for tests of services: an app on a real socket, a stand-in for speaker-service, a search for reference
cycles."""

import asyncio
import gc
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from rapl_protocol.errors import ServiceError
from rapl_protocol.models import ModelInfo, ModelList, ModelState
from rapl_protocol.speakers import (
    SPEAKERS_MODEL,
    Diarization,
    DiarizationOptions,
    RecordedSpeech,
    SpeakerReference,
    SpeakerTurn,
    VoiceEmbedding,
    decode_diarization_request,
)
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from rapl_service.http.connection import GuardedHttp
from rapl_service.http.errors import error_response
from rapl_service.run import WebSocketProtocol


@asynccontextmanager
async def served(app: ASGIApp, ws: WebSocketProtocol = "none") -> AsyncGenerator[str]:
    """Runs `app` on a real socket of 127.0.0.1, in this event loop, and yields its base URL."""
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        log_level="warning",
        http=GuardedHttp,
        ws=ws,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=1,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    # `serve()` would check only every tenth of a second whether it should stop. A test run has thousands of servers.
    await server.startup()
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await _stop(server)
        await asyncio.sleep(_UNTIL_CLOSED_S)


async def _stop(server: uvicorn.Server) -> None:
    """Stops as `Server.shutdown` does, but without its pause of a tenth of a second."""
    for listener in server.servers:
        listener.close()
    state = server.server_state
    for connection in list(state.connections):
        connection.shutdown()
    deadline = asyncio.get_running_loop().time() + _CLOSE_LIMIT_S
    while state.connections or state.tasks:
        if asyncio.get_running_loop().time() > deadline:
            return await server.shutdown()
        await asyncio.sleep(0.001)
    await server.lifespan.shutdown()


_CLOSE_LIMIT_S = 5.0
_UNTIL_CLOSED_S = 0.005
"""A connection with unsent bytes needs another turn of the event loop to notice that its client is gone. One that is
still closing when a test's loop ends causes a warning in a later test."""


class FakeSpeakerService:
    """A stand-in for speaker-service, which needs its weights. It hears nothing: a test tells it its answers."""

    def __init__(self) -> None:
        self.url = ""
        """Where its app runs, for the tests."""
        self.turns: tuple[SpeakerTurn, ...] = ()
        self.voices: list[tuple[float, ...] | None] = []
        """The voice of each request for an embedding; after the last one, that one again."""
        self.speech_s = 2.0
        """Seconds of speech in each embedding with a voice."""
        self.fails_with: ServiceError | None = None
        """What a diarization fails with when its body has ended."""
        self.state = ModelState.READY
        self.options: list[DiarizationOptions] = []
        """The options of each diarization."""
        self.references: list[SpeakerReference] = []
        self.speech: list[RecordedSpeech] = []
        self.headers: list[dict[str, str]] = []
        self.polls = 0
        self.changes: list[str] = []
        """What was asked of its model: `load`, `unload` or `DELETE`."""

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/diarizations", self._diarize, methods=["POST"]),
                Route("/v1/embeddings", self._embed, methods=["POST"]),
                Route("/v1/models", self._models),
                Route(f"/v1/models/{SPEAKERS_MODEL}/{{change}}", self._change, methods=["POST"]),
                Route(f"/v1/models/{SPEAKERS_MODEL}", self._change, methods=["DELETE"]),
            ]
        )

    async def _diarize(self, request: Request) -> Response:
        self.headers.append(dict(request.headers))
        async for event in decode_diarization_request(request.stream()):
            match event:
                case DiarizationOptions():
                    self.options.append(event)
                case SpeakerReference():
                    self.references.append(event)
                case RecordedSpeech():
                    self.speech.append(event)
        if self.fails_with:
            return error_response(self.fails_with)
        return Response(Diarization(turns=self.turns).model_dump_json(), media_type="application/json")

    async def _embed(self, request: Request) -> Response:
        await request.body()
        voice = self.voices.pop(0) if len(self.voices) > 1 else self.voices[0]
        embedding = VoiceEmbedding(embedding=voice, speech_s=self.speech_s if voice else 0.0, same_voice_cosine=0.5)
        return Response(embedding.model_dump_json(), media_type="application/json")

    async def _change(self, request: Request) -> Response:
        self.changes.append(request.path_params.get("change", request.method))
        info = ModelInfo(id=SPEAKERS_MODEL, state=self.state)
        return Response(info.model_dump_json(), media_type="application/json")

    async def _models(self, _: Request) -> Response:
        self.polls += 1
        models = ModelList(models=[ModelInfo(id=SPEAKERS_MODEL, state=self.state)], memory_bytes=1, version="0.0.1")
        return Response(models.model_dump_json(), media_type="application/json")


@contextmanager
def reference_cycles() -> Generator[set[str]]:
    """Yields a set. After the context it has RAPL's types with objects that only the cycle collector would free.

    The collector runs rarely (`run._tune_garbage_collector`). Until it runs, a cycle keeps its objects, such as audio.
    """
    found: set[str] = set()
    gc.collect()
    gc.disable()
    try:
        yield found
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        types: set[type[object]] = {type(each) for each in gc.garbage}
        found |= {f"{each.__module__}.{each.__qualname__}" for each in types if each.__module__.startswith("rapl_")}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def until(condition: Callable[[], object], limit_s: float = 20.0) -> None:
    """Waits until the condition is true. Use it if there is no event to await, such as for a line in the log.

    Raises:
        TimeoutError: the condition is not true after `limit_s` seconds.
    """
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
