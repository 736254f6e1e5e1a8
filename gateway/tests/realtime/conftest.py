"""A gateway whose live audio goes through the real detection of turns."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI, Request, WebSocket
from rapl_preprocess.live.detection import LiveDetection
from rapl_preprocess.live.route import serve_live_audio
from rapl_preprocess.speech.silero import SpeechModel
from rapl_protocol.audio import WavAudio
from rapl_protocol.live_audio import LIVE_PATH
from rapl_protocol.testing import FakeTranscriber
from rapl_service.http.app import service_app
from rapl_service.http.websocket import GuardedWebSocket
from rapl_service.testing import served
from realtime.client import TEXT, Client, connected


@pytest.fixture
async def preprocess_url() -> AsyncIterator[str]:
    """A preprocess-service with the real route for live audio and a fake speech check."""
    async with LiveDetection.running(SpeechModel.load().network) as detection:

        @asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncIterator[None]:
            yield

        app = service_app("preprocess-service", lifespan, name="preprocess-service")

        @app.post("/v1/speech")
        async def speech(request: Request) -> dict[str, Any]:
            return {"speech": [(0.0, min(1.0, WavAudio.from_wav(await request.body()).duration_s))]}

        @app.get("/health/ready")
        async def health() -> dict[str, str]:
            return {"status": "ok"}

        @app.websocket(LIVE_PATH)
        async def live(websocket: WebSocket) -> None:
            await serve_live_audio(websocket, detection, 1_000)

        async with served(app, GuardedWebSocket) as url:
            yield url


@pytest.fixture
async def start_realtime(start: Callable[..., Awaitable[Any]], preprocess_url: str) -> Callable[..., Awaitable[Any]]:
    """Starts a gateway; the arguments are the engine and the gateway's settings."""

    async def start_fleet(sensevoice: FakeTranscriber | None = None, **settings: object) -> Any:
        sensevoice = sensevoice or FakeTranscriber("iic/SenseVoiceSmall", text=TEXT)
        fleet = await start(sensevoice, **{"preprocess_url": preprocess_url, **settings})
        await fleet.http.get("/health/ready")
        return fleet

    return start_fleet


@pytest.fixture
async def realtime(start_realtime: Callable[..., Awaitable[Any]]) -> Any:
    return await start_realtime()


@pytest.fixture
async def client(realtime: Any) -> AsyncIterator[Client]:
    async with connected(realtime) as client:
        yield client
