"""A fake between the gateway and the real mlx-service: it passes all on, and loses words where a test says so."""

import hashlib
import json
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from ctranslate2_engine import CTranslate2Engine
from rapl_protocol.intervals import Interval, merged
from rapl_protocol.transcript import Segment, Transcript
from rapl_protocol.wire import decode_transcribe_request
from services import free_port, until
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


class LossyEngine:
    """Answers as mlx-service does, from a cache if it has the same audio and options. For the audio of a loss, it
    returns the loss instead.

    Args:
        urls: the real mlx-services.
        cache: folder that keeps the transcripts, so that a segment is computed once however often it is lost.
        limit_s: longest time for one answer of mlx-service.
        faster: transcribe instead of mlx-service.
    """

    def __init__(
        self, urls: Sequence[str], cache: Path, limit_s: float, faster: Sequence[CTranslate2Engine] = ()
    ) -> None:
        self._faster = cycle(faster) if faster else None
        self._clients = [httpx.AsyncClient(base_url=url, timeout=limit_s) for url in urls]
        self._engines = cycle(self._clients)
        self._cache = cache
        cache.mkdir(parents=True, exist_ok=True)
        self.losses: dict[tuple[str, str], Transcript] = {}
        """What to return, by the request's id and the digest of the audio."""

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/transcribe", self._transcribe, methods=["POST"]),
                Route("/{path:path}", self._pass_on, methods=["GET", "POST"]),
            ],
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        for client in self._clients:
            await client.aclose()

    async def _transcribe(self, request: Request) -> Response:
        body = await request.body()
        call = decode_transcribe_request(body)
        audio = digest(bytes(call.audio.pcm))
        loss = self.losses.get((request.headers.get("x-request-id", ""), audio))
        if loss:
            return Response(loss.model_dump_json(), media_type="application/json")
        options = call.options.model_dump_json(exclude={"is_long"})
        cached = self._cache / f"{audio}-{digest(options.encode())}.json"
        if not cached.exists() and self._faster:
            wav, language = call.audio.to_wav(), call.options.language
            words = call.options.word_timestamps
            found = await next(self._faster).transcribe(wav, call.options.model, language, words)
            cached.write_text(_transcript(json.loads(found)).model_dump_json())
        elif not cached.exists():
            answer = await next(self._engines).post("/v1/transcribe", content=body, headers=_kept(request))
            if answer.status_code != 200:
                return Response(answer.content, answer.status_code, media_type="application/json")
            json.loads(answer.content)
            cached.write_bytes(answer.content)
        return Response(cached.read_bytes(), media_type="application/json")

    async def _pass_on(self, request: Request) -> Response:
        answer = await next(self._engines).request(
            request.method, request.url.path, content=await request.body(), headers=_kept(request)
        )
        return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))


def _transcript(found: dict[str, Any]) -> Transcript:
    """Makes a transcript, within the audio, as mlx-service does."""
    duration_s = found["duration_s"]
    segments = []
    for each in found["segments"]:
        start_s, end_s = (min(each[edge], duration_s) for edge in ("start_s", "end_s"))
        if each["text"].strip() and start_s < duration_s:
            segments.append(Segment.model_validate(each | {"start_s": start_s, "end_s": max(start_s, end_s)}))
    return Transcript(
        text="".join(segment.text for segment in segments).strip(),
        language=found["language"],
        duration_s=duration_s,
        segments=tuple(segments),
        text_spans=merged(Interval(segment.start_s, segment.end_s) for segment in segments),
    )


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


@contextmanager
def serving(engine: LossyEngine) -> Iterator[str]:
    """Serves the engine in a thread. Yields its URL."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(engine.app(), port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until("the lossy engine is live", lambda: server.started, 20)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def _kept(request: Request) -> dict[str, str]:
    return {name: request.headers[name] for name in ("content-type", "x-request-id") if name in request.headers}
