"""An engine on a real socket that a test can kill, in the middle of its work, and start again on the same port."""

import asyncio
from types import TracebackType
from typing import Self

import uvicorn
from rapl_protocol.testing import FakeTranscriber
from rapl_protocol.transcriber import OnText
from rapl_protocol.transcript import TranscribeOptions, Transcript
from rapl_service.engine_app import transcriber_app


class SerialTranscriber(FakeTranscriber):
    """Works on one piece of audio at a time, as real engines do, and on none while a test holds it back."""

    def __init__(self, *model_ids: str, **options) -> None:
        super().__init__(*(model_ids or ("iic/SenseVoiceSmall",)), **options)
        self._turn = asyncio.Lock()
        self.began: list[float] = []
        """Lengths of the audio, in the order in which it was worked on."""
        self.arrived = 0
        self.may_work = asyncio.Event()
        self.may_work.set()

    async def transcribe(self, audio, options: TranscribeOptions, on_text: OnText | None = None) -> Transcript:
        self.arrived += 1
        async with self._turn:
            await self.may_work.wait()
            self.began.append(audio.duration_s)
            return await super().transcribe(audio, options, on_text)


class MortalTranscriber(FakeTranscriber):
    """Kills its process on whatever it is given."""

    process: "EngineProcess"

    async def transcribe(self, audio, options: TranscribeOptions, on_text: OnText | None = None) -> Transcript:
        self.calls.append((audio, options))
        self.process.kill()
        raise asyncio.CancelledError


class EngineProcess:
    """Not a process of its own, but as deaf as a dead one after `kill`."""

    def __init__(self, transcriber: FakeTranscriber, host: str = "127.0.0.1", port: int = 0) -> None:
        self.transcriber = transcriber
        self._host = host
        self._port = port
        self._server: uvicorn.Server | None = None

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self._port}"

    async def start(self) -> Self:
        app = transcriber_app(self.transcriber)
        config = uvicorn.Config(app, host=self._host, port=self._port, log_level="critical", ws="none")
        config.load()
        self._server = uvicorn.Server(config)
        self._server.lifespan = config.lifespan_class(config)
        await self._server.startup()
        self._port = self._server.servers[0].sockets[0].getsockname()[1]
        return self

    def kill(self) -> None:
        """Closes its port, and cuts every connection without a word."""
        assert self._server is not None
        for listener in self._server.servers:
            listener.close()
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()
        for task in list(self._server.server_state.tasks):
            task.cancel()
        self._server = None

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server:
            self.kill()
