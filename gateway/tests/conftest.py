"""A gateway on a real socket, between fake engines and a stand-in for preprocess-service."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import httpx
import pytest
from openai import AsyncOpenAI
from rapl_gateway.app import create_app
from rapl_gateway.settings import Settings
from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.frames import encode_frame
from rapl_protocol.prepared import MediaReport
from rapl_protocol.testing import FakeTranscriber, make_tone
from rapl_service.engine_app import transcriber_app
from rapl_service.http.errors import error_response
from rapl_service.http.websocket import GuardedWebSocket
from rapl_service.testing import FakeSpeakerService, served
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

SPEECH = make_tone(0.5)
NOWHERE = "http://127.0.0.1:9"
LENGTHS_S = {b"MEDIA": 1.0, b"SPEECH": 9.0, b"LATE": 9.0}
NOT_MEDIA = ServiceError(ErrorCode.AUDIO_UNDECODABLE, "not media", param="file")


class FakePreprocess:
    """A fake preprocess-service: the real one would need real media.

    It takes bytes that begin with the name of a kind of media and the number of its segments. MEDIA: of 1 s, without
    speech detection. SPEECH: of 9 s, all of it speech. LATE: the same, detected at the end. They count as longer than a
    clip. CLIP, and then a WAV: a file whose decoded audio is that WAV.
    """

    def __init__(self) -> None:
        self.requests: list[dict[str, str]] = []
        """The options of each request."""
        self.speech_s: float | None = None
        """Seconds of speech that it finds in a clip; None: one, which holds no more text than the fake engines'."""
        self.media = MediaReport()
        """What it reports about every file that it decodes."""
        self.may_detect = asyncio.Event()
        """Until this is set, the speech check of a clip does not answer."""
        self.may_detect.set()
        self.speech_check_s = 0.0
        """How long the speech check of a clip takes."""
        self.uploads: list[str] = []
        """The path of each request for a clip."""

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/prepare", self._prepare, methods=["POST"]),
                Route("/v1/clip", self._clip, methods=["POST"]),
                Route("/v1/speech", self._speech, methods=["POST"]),
                Route("/health/ready", self._ready),
            ]
        )

    async def _prepare(self, request: Request) -> Response:
        self.requests.append(dict(request.query_params))
        body = await request.body()
        name, _, count = body[:32].partition(b":")
        if name not in LENGTHS_S:
            return error_response(NOT_MEDIA)
        length_s = LENGTHS_S[name]
        detected = {"speech": [(0.0, length_s)]} if name == b"SPEECH" else {}
        detected_at_end = {"speech_s": int(count) * length_s} if name != b"MEDIA" else {}
        if name == b"LATE":
            detected_at_end["speech"] = [(0.0, length_s)]
        pcm = make_tone(length_s, amplitude=0.01).pcm
        frames = [
            encode_frame({"type": "segment", "start_s": n * length_s, "end_s": (n + 1) * length_s, **detected}, pcm)
            for n in range(int(count))
        ]
        source = {"type": "source", "container": "fake", "codec": "fake", "sample_rate_hz": 16000, "channels": 1}
        frames.insert(0, encode_frame({**source, "duration_s": int(count) * length_s}))
        end = {"duration_s": int(count) * length_s, **detected_at_end, "media": self.media.model_dump()}
        return Response(b"".join([*frames, encode_frame({"type": "end", **end})]))

    async def _clip(self, request: Request) -> Response:
        self.uploads.append(request.url.path)
        name, _, wav = (await request.body()).partition(b":")
        if name == b"CLIP":
            return StreamingResponse(self._clip_frames(WavAudio.from_wav(wav), dict(request.query_params)))
        if name in LENGTHS_S:
            return error_response(ServiceError(ErrorCode.AUDIO_TOO_LARGE, "not a clip", param="file"))
        return error_response(NOT_MEDIA)

    async def _clip_frames(self, audio: WavAudio, options: dict[str, str]) -> AsyncIterator[bytes]:
        yield encode_frame({"type": "audio", **self.media.model_dump()}, audio.pcm)
        if options.get("speech_detection") != "off":
            self.requests.append(options)
            yield encode_frame({"type": "speech", **await self._verdict(audio.duration_s)})

    async def _verdict(self, duration_s: float) -> dict[str, object]:
        await self.may_detect.wait()
        await asyncio.sleep(self.speech_check_s)
        speech_s = min(duration_s, 1.0) if self.speech_s is None else self.speech_s
        return {"speech": [(0.0, speech_s)] if speech_s else []}

    async def _speech(self, request: Request) -> Response:
        self.uploads.append(request.url.path)
        self.requests.append(dict(request.query_params))
        duration_s = WavAudio.from_wav(await request.body()).duration_s
        return JSONResponse(await self._verdict(duration_s))

    async def _ready(self, _: Request) -> Response:
        return JSONResponse({"status": "ok", "version": "0.0.1"})


class Fleet:
    """The gateway that a test calls, and the engines whose answers it chooses."""

    speech = SPEECH
    nowhere = NOWHERE

    def __init__(self, url: str, sensevoice: FakeTranscriber, mlx: FakeTranscriber, preprocess: FakePreprocess) -> None:
        self.url = url
        self.sensevoice = sensevoice
        self.mlx = mlx
        self.preprocess = preprocess
        self.http = httpx.AsyncClient(base_url=url, timeout=30)
        self.openai = AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0)

    async def transcribe(self, file: bytes | None = None, **fields: str) -> httpx.Response:
        files = {"file": ("speech.wav", SPEECH.to_wav() if file is None else file)}
        return await self.http.post("/v1/audio/transcriptions", data=fields, files=files)

    async def close(self) -> None:
        await self.http.aclose()
        await self.openai.close()


@pytest.fixture
async def start(tmp_path) -> AsyncIterator[Callable[..., Awaitable[Fleet]]]:
    """Starts a fleet; `mlx_url` and `preprocess_url` may point at a closed port."""
    async with AsyncExitStack() as stack:

        async def start_fleet(
            sensevoice: FakeTranscriber | None = None, mlx: FakeTranscriber | None = None, **settings: object
        ) -> Fleet:
            sensevoice = sensevoice or FakeTranscriber("iic/SenseVoiceSmall", "rapl/selftest", text="{model} {n}")
            mlx = mlx or FakeTranscriber("mlx-community/Qwen3-ASR-1.7B-8bit", "local/model", text="mlx {n}")
            preprocess = FakePreprocess()
            urls = {
                "sensevoice_url": await stack.enter_async_context(served(transcriber_app(sensevoice))),
                "mlx_url": await stack.enter_async_context(served(transcriber_app(mlx))),
                "preprocess_url": await stack.enter_async_context(served(preprocess.app())),
            }
            given = {"root": tmp_path, **urls, **settings}
            gateway = await stack.enter_async_context(served(create_app(Settings(**given)), GuardedWebSocket))
            fleet = Fleet(gateway, sensevoice, mlx, preprocess)
            stack.push_async_callback(fleet.close)
            return fleet

        yield start_fleet


@pytest.fixture
async def speakers() -> AsyncIterator[FakeSpeakerService]:
    """A stand-in for speaker-service, at its `url`."""
    service = FakeSpeakerService()
    async with served(service.app()) as service.url:
        yield service


@pytest.fixture
async def fleet(start: Callable[..., Awaitable[Fleet]]) -> Fleet:
    return await start()
