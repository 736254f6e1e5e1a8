"""A session outlives its service: after a restart it goes on as if nothing had happened."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.live_audio import Flushed, LiveEvent, LiveOptions, TurnDetection
from rapl_service.calls.call import Service, open_http
from rapl_service.calls.clients import PreprocessClient
from rapl_service.calls.live_audio import LiveAudio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

OPTIONS = LiveOptions(rate_hz=24_000, detection=TurnDetection())
RESTART_S = 60.0
PIECE_BYTES = 960


class PreprocessProcess:
    """`python -m rapl_preprocess` on a free port."""

    def __init__(self) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        self.start()

    @property
    def service(self) -> Service:
        return Service("preprocess-service", f"http://127.0.0.1:{self.port}", "Look at its log.")

    def start(self) -> None:
        environ = {**os.environ, "RAPL_PREPROCESS_PORT": str(self.port), "RAPL_PREPROCESS_WORKERS": "1"}
        self._process = subprocess.Popen([sys.executable, "-m", "rapl_preprocess"], env=environ, stderr=subprocess.PIPE)

    def end(self, number: signal.Signals) -> str:
        """Sends the signal, waits for the end, and returns the log."""
        self._process.send_signal(number)
        _, log = self._process.communicate(timeout=40)
        return log.decode()


@pytest.fixture
def preprocess() -> Iterator[PreprocessProcess]:
    process = PreprocessProcess()
    yield process
    process.end(signal.SIGKILL)


@asynccontextmanager
async def session(preprocess: PreprocessProcess, wait_s: float = RESTART_S) -> AsyncIterator[LiveAudio]:
    async with (
        open_http() as http,
        PreprocessClient(http, preprocess.service).live(OPTIONS, restart_wait_s=wait_s) as live,
    ):
        yield live


async def send(live: LiveAudio, audio: bytes) -> None:
    for at in range(0, len(audio), PIECE_BYTES):
        await live.send(audio[at : at + PIECE_BYTES])


async def everything(websocket: ClientConnection) -> None:
    """Raises: ConnectionClosed, at the end."""
    while True:
        await websocket.recv()


async def take_until_flushed(live: LiveAudio) -> tuple[bytes, list[LiveEvent]]:
    audio, events = b"", list[LiveEvent]()
    async for event in live:
        if isinstance(event, bytes):
            audio += event
        else:
            events.append(event)
            if isinstance(event, Flushed):
                break
    return audio, events


async def test_a_session_whose_service_is_killed_gets_the_same_samples_and_events(
    preprocess: PreprocessProcess, conversation: bytes
):
    async with session(preprocess) as live:
        await send(live, conversation)
        await live.flush()
        undisturbed = await take_until_flushed(live)

    async with session(preprocess) as live:
        sent = 0
        for number, end in ((signal.SIGKILL, 100_001), (signal.SIGTERM, 200_000), (signal.SIGKILL, 300_001)):
            await send(live, conversation[sent:end])
            sent = end
            await asyncio.sleep(0.1)  # some of it is processed, and some is not
            await asyncio.to_thread(preprocess.end, number)
            preprocess.start()
        await send(live, conversation[sent:])
        await live.flush()
        disturbed = await take_until_flushed(live)

    assert disturbed == undisturbed
    assert len(undisturbed[1]) > 3


async def test_a_service_that_stays_away_is_an_error_after_the_time_for_a_restart(preprocess: PreprocessProcess):
    async with session(preprocess) as live:
        await live.flush()
        await take_until_flushed(live)
    preprocess.end(signal.SIGKILL)
    async with session(preprocess, wait_s=0.3) as live:
        with pytest.raises(ServiceError, match="lost a session of live audio") as caught:
            await take_until_flushed(live)
    preprocess.start()

    assert caught.value.code is ErrorCode.BACKEND_UNAVAILABLE


async def test_a_service_that_stops_closes_its_sessions_so_that_clients_connect_elsewhere(
    preprocess: PreprocessProcess,
):
    async with session(preprocess) as live:
        await live.flush()
        await take_until_flushed(live)
    async with connect(preprocess.service.url.replace("http", "ws") + "/v1/live") as websocket:
        await websocket.send(OPTIONS.model_dump_json())
        await websocket.send(bytes(10_000))
        await websocket.recv()
        log = await asyncio.to_thread(preprocess.end, signal.SIGTERM)
        with pytest.raises(ConnectionClosed):
            await everything(websocket)
    preprocess.start()

    assert websocket.close_code == 1012
    assert "Traceback" not in log


async def test_a_message_that_is_too_long_closes_the_session_with_1009(preprocess: PreprocessProcess):
    async with session(preprocess) as live:
        await live.flush()
        await take_until_flushed(live)
    async with connect(preprocess.service.url.replace("http", "ws") + "/v1/live") as websocket:
        await websocket.send(OPTIONS.model_dump_json())
        await websocket.send(bytes(70_000))
        with pytest.raises(ConnectionClosed):
            await everything(websocket)

    assert websocket.close_code == 1009
