"""The loop that processes the audio of all sessions together, in one thread."""

import asyncio
import logging
from collections.abc import AsyncIterator, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Self

from rapl_protocol.live_audio import LiveControl
from rapl_service import background

from rapl_preprocess.live.session import LiveSession
from rapl_preprocess.live.stream import LiveStream, Output
from rapl_preprocess.speech.silero_network import Network
from rapl_preprocess.speech.streams import probabilities_of_streams

_GATHER_S = 0.02
"""How long audio is gathered before it is processed. It is less than a frame, and 50 sessions that send 20 ms at a time
are one batch. A control message is not gathered: its sender is waiting."""

log = logging.getLogger("rapl")


class LiveDetection:
    """All open sessions. `running` creates it."""

    def __init__(self, network: Network, thread: ThreadPoolExecutor) -> None:
        self._network, self._thread = network, thread
        self._sessions: set[LiveSession] = set()
        self._has_audio, self._has_control = asyncio.Event(), asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def running(cls, network: Network) -> AsyncIterator[Self]:
        with ThreadPoolExecutor(1, "live") as thread:
            detection = cls(network, thread)
            loop = background.spawn(detection._run())
            try:
                yield detection
            finally:
                loop.cancel()

    def __len__(self) -> int:
        """The number of open sessions."""
        return len(self._sessions)

    @property
    def waiting_bytes(self) -> int:
        """Bytes of audio of all sessions that wait for the next step."""
        return sum(session.waiting_bytes for session in self._sessions)

    @contextmanager
    def session(self, stream: LiveStream) -> Generator[LiveSession]:
        session = LiveSession(stream)
        self._sessions.add(session)
        try:
            yield session
        finally:
            self._sessions.discard(session)

    def wake(self, *, at_once: bool = False) -> None:
        """Says that a session has new input, or room for output again."""
        self._has_audio.set()
        if at_once:
            self._has_control.set()

    async def _run(self) -> None:
        while True:
            await self._has_audio.wait()
            await self._gather()
            await self._process(self._ready())
            while any(session.is_urgent for session in self._ready()):
                await self._process(self._ready())
            if self._ready():
                self._has_audio.set()

    def _ready(self) -> list[LiveSession]:
        return [session for session in self._sessions if session.is_ready]

    async def _gather(self) -> None:
        try:
            async with asyncio.timeout(_GATHER_S):
                await self._has_control.wait()
        except TimeoutError:
            pass  # no control message has come
        self._has_audio.clear()
        self._has_control.clear()

    async def _process(self, sessions: list[LiveSession]) -> None:
        inputs = [(session.stream, session.take()) for session in sessions]
        try:
            outputs = await asyncio.get_running_loop().run_in_executor(self._thread, step, self._network, inputs)
        except Exception:
            log.exception("%d sessions of live audio failed", len(sessions))
            for session in sessions:
                session.fail()
                self._sessions.discard(session)
            return
        for session, output in zip(sessions, outputs, strict=True):
            session.deliver(output)


def step(network: Network, inputs: list[tuple[LiveStream, bytes | LiveControl]]) -> list[list[Output]]:
    """Processes one input of each stream, and returns the output of each."""
    arrived = []
    for stream, message in inputs:
        if isinstance(message, bytes):
            stream.add(message)
        else:
            stream.control(message)
        if frames := stream.take_frames():
            arrived.append((stream, frames))
    found = probabilities_of_streams(network, [(stream.detector, frames) for stream, frames in arrived])
    by_stream = {id(stream): each for (stream, _), each in zip(arrived, found, strict=True)}
    return [stream.finish_step(by_stream.get(id(stream), ())) for stream, _ in inputs]
