"""A gateway on a real socket, between fake engines and a stand-in for preprocess-service."""

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
from rapl_protocol.http import error_response
from rapl_protocol.server import transcriber_app
from rapl_protocol.testing import FakeTranscriber, make_tone, served
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

SPEECH = make_tone(0.5)
NOWHERE = "http://127.0.0.1:9"
LENGTHS_S = {b"MEDIA": 1.0, b"SPEECH": 9.0, b"LATE": 9.0}


def prepared_wav(audio: WavAudio) -> Response:
    """One segment, as of a clip with speech in it."""
    where = {"type": "segment", "start_s": 0.0, "end_s": audio.duration_s}
    end = encode_frame({"type": "end", "duration_s": audio.duration_s})
    return Response(encode_frame(where, audio.pcm) + end)


def fake_preprocess(asked: list[dict[str, str]]) -> Starlette:
    """Takes canonical WAV, and bytes that begin with the name of a kind of media and the number of its segments.

    MEDIA: of 1 s, not judged. SPEECH: of 9 s, all of it judged to be speech. LATE: the same, judged at the end.
    """

    async def prepare(request: Request) -> Response:
        asked.append(dict(request.query_params))
        body = await request.body()
        if body[:4] == b"RIFF" and len(body) > 44:
            return prepared_wav(WavAudio.from_wav(body))
        name, _, count = body[:32].partition(b":")
        if name not in LENGTHS_S:
            return error_response(ServiceError(ErrorCode.AUDIO_UNDECODABLE, "not media", param="file"))
        length_s = LENGTHS_S[name]
        judged = {"speech_s": length_s} if name == b"SPEECH" else {}
        judged_at_end = {"speech_s": int(count) * length_s} if name != b"MEDIA" else {}
        pcm = make_tone(length_s, amplitude=0.01).pcm
        frames = [
            encode_frame({"type": "segment", "start_s": n * length_s, "end_s": (n + 1) * length_s, **judged}, pcm)
            for n in range(int(count))
        ]
        source = {"type": "source", "container": "fake", "codec": "fake", "sample_rate_hz": 16000, "channels": 1}
        frames.insert(0, encode_frame({**source, "duration_s": int(count) * length_s}))
        return Response(
            b"".join([*frames, encode_frame({"type": "end", "duration_s": int(count) * length_s, **judged_at_end})])
        )

    async def live(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    return Starlette(routes=[Route("/v1/prepare", prepare, methods=["POST"]), Route("/health/live", live)])


class Fleet:
    """What a test talks to, and the engines whose answers it chooses."""

    speech = SPEECH
    nowhere = NOWHERE

    def __init__(
        self, url: str, sensevoice: FakeTranscriber, mlx: FakeTranscriber, asked: list[dict[str, str]]
    ) -> None:
        self.url = url
        self.sensevoice = sensevoice
        self.mlx = mlx
        self.asked_of_preprocess = asked
        """The options of each request to preprocess-service."""
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
    """Starts a fleet; `mlx_url` and `preprocess_url` may point at nobody."""
    async with AsyncExitStack() as stack:

        async def start_fleet(
            sensevoice: FakeTranscriber | None = None, mlx: FakeTranscriber | None = None, **settings: object
        ) -> Fleet:
            sensevoice = sensevoice or FakeTranscriber("iic/SenseVoiceSmall", "rapl/selftest", text="{model} {n}")
            mlx = mlx or FakeTranscriber("mlx-community/Qwen3-ASR-1.7B-8bit", "local/model", text="mlx {n}")
            asked: list[dict[str, str]] = []
            urls = {
                "sensevoice_url": await stack.enter_async_context(served(transcriber_app(sensevoice))),
                "mlx_url": await stack.enter_async_context(served(transcriber_app(mlx))),
                "preprocess_url": await stack.enter_async_context(served(fake_preprocess(asked))),
            }
            given = {"config": tmp_path / "rapl.toml", **urls, **settings}
            gateway = await stack.enter_async_context(served(create_app(Settings(**given))))
            fleet = Fleet(gateway, sensevoice, mlx, asked)
            stack.push_async_callback(fleet.close)
            return fleet

        yield start_fleet


@pytest.fixture
async def fleet(start: Callable[..., Awaitable[Fleet]]) -> Fleet:
    return await start()
