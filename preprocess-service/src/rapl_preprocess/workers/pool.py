"""The pool of decoding processes. If a process crashes, hangs or exceeds its limits, only its file is refused."""

import asyncio
import json
import logging
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import asdict
from typing import Literal, Self

from rapl_protocol.errors import ServiceError
from rapl_protocol.frames import Frame, decode_frames
from rapl_protocol.prepared import PrepareOptions
from rapl_service.http.upload import Upload

from rapl_preprocess.batches import Batch
from rapl_preprocess.media.containers import undecodable
from rapl_preprocess.settings import Settings
from rapl_preprocess.workers.limits import Limits

DECODER_ENDED = "The audio file could not be decoded: the decoder crashed, or exceeded its limit of time or memory."
_START_LIMIT_S = 60.0
_RETRY_S = 1.0
_RECEIVE_BYTES = 1 << 18

JobKind = Literal["prepare", "clip"]

log = logging.getLogger("rapl")


class Decoders:
    """A context manager that keeps `settings.workers` processes ready, and starts at most `settings.max_workers`.

    A process decodes one file from its start to its end. If the client reads slowly, the process waits and holds at
    most one segment, so there may be many more processes than cores.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._limits = Limits(settings.worker_memory_bytes, settings.worker_cpu_s, settings.worker_stall_s)
        self._idle: asyncio.LifoQueue[socket.socket] = asyncio.LifoQueue()
        """The control sockets of the processes that wait for a file."""
        self._alive: set[socket.socket] = set()
        self._waiting = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._zygote: subprocess.Popen[bytes] | None = None
        self._zygote_socket: socket.socket | None = None

    async def __aenter__(self) -> Self:
        for _ in range(self._settings.workers):
            self._fork()
        async with asyncio.timeout(_START_LIMIT_S):
            self._idle.put_nowait(await self._idle.get())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for control in self._alive:
            control.close()
        await asyncio.to_thread(self._end_zygote)

    async def batches(self, upload: Upload, options: PrepareOptions, kind: JobKind) -> AsyncGenerator[Batch, None]:
        """Yields the batches of a file. Closing the generator closes the decoder's output, which stops the decoder.

        Args:
            upload: the file.
            options: how speech is detected.
            kind: "prepare" for segments, "clip" for the whole audio of a short file.

        Raises:
            ServiceError: the errors of `prepare` and `clip`; AUDIO_UNDECODABLE if the decoder exited before the end of
                the file.
        """
        output, remote = socket.socketpair()
        output.setblocking(False)
        control = None
        try:
            with remote:
                control = await self._send_job(upload, options, kind, remote)
            if not upload.file:
                await asyncio.get_running_loop().sock_sendall(output, upload.content())
            is_last = False
            async for frame in decode_frames(_received(output)):
                batch = _batch(frame)
                is_last = batch.is_last
                yield batch
            if not is_last:
                raise undecodable(DECODER_ENDED)
        except (ValueError, BrokenPipeError, ConnectionResetError) as error:
            raise undecodable(DECODER_ENDED) from error
        finally:
            output.close()
            if control:
                self._watch(control)

    async def _send_job(
        self, upload: Upload, options: PrepareOptions, kind: JobKind, output: socket.socket
    ) -> socket.socket:
        """Sends the file to a decoder, and returns the decoder's control socket."""
        job = {"kind": kind, "options": options.model_dump(), "max_duration_s": self._settings.max_duration_s}
        line = json.dumps({**job, "inline_bytes": 0 if upload.file else upload.size_bytes}).encode() + b"\n"
        descriptors = [output.fileno(), *([upload.file.fileno()] if upload.file else [])]
        while True:
            control = await self._idle_decoder()
            try:
                socket.send_fds(control, [line], descriptors)
                return control
            except (BrokenPipeError, ConnectionResetError):  # the process has ended while it was idle
                self._discard(control)
                self._fork()

    async def _idle_decoder(self) -> socket.socket:
        if self._idle.empty() and len(self._alive) < self._settings.max_workers:
            self._fork()
        self._waiting += 1
        try:
            return await self._idle.get()
        finally:
            self._waiting -= 1

    def _fork(self) -> None:
        control, remote = socket.socketpair()
        control.setblocking(False)
        with remote:
            try:
                self._request_fork(remote)
            except (BrokenPipeError, ConnectionResetError):
                log.warning("the process that forks the decoders has exited; starting a new one")
                self._end_zygote()
                self._request_fork(remote)
        self._alive.add(control)
        self._watch(control, is_new=True)

    def _request_fork(self, remote: socket.socket) -> None:
        if self._zygote_socket is None:
            self._zygote_socket = self._start_zygote()
        socket.send_fds(self._zygote_socket, [b"f"], [remote.fileno()])

    def _start_zygote(self) -> socket.socket:
        zygote_socket, remote = socket.socketpair()
        with remote:
            command = [sys.executable, "-m", "rapl_preprocess.workers.zygote", str(remote.fileno())]
            command += [json.dumps(asdict(self._limits)), self._settings.log_level]
            self._zygote = subprocess.Popen(command, pass_fds=[remote.fileno()], stdin=subprocess.DEVNULL)
        return zygote_socket

    def _end_zygote(self) -> None:
        """Waits for the end of the zygote; returns at once if it has ended already."""
        if self._zygote_socket and self._zygote:
            self._zygote_socket.close()
            self._zygote.wait()
            self._zygote_socket = self._zygote = None

    def _watch(self, control: socket.socket, is_new: bool = False) -> None:
        task = asyncio.create_task(self._return_to_idle(control, is_new))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _return_to_idle(self, control: socket.socket, is_new: bool) -> None:
        """Marks a decoder as idle when it is ready for another file. If it has exited, starts another one if needed."""
        try:
            is_ready = await asyncio.get_running_loop().sock_recv(control, 1)
        except ConnectionResetError:
            is_ready = b""
        has_enough = self._idle.qsize() >= self._settings.workers and not self._waiting
        if is_ready and not has_enough:
            self._idle.put_nowait(control)
            return
        self._discard(control)
        if not has_enough:
            if is_new:  # if every new process fails, do not retry in a tight loop
                await asyncio.sleep(_RETRY_S)
            self._fork()

    def _discard(self, control: socket.socket) -> None:
        self._alive.discard(control)
        control.close()


async def _received(output: socket.socket) -> AsyncIterator[bytes]:
    """Yields what a decoder sends. It receives only when the caller reads, so a slow client slows the decoder down."""
    loop = asyncio.get_running_loop()
    while piece := await loop.sock_recv(output, _RECEIVE_BYTES):
        yield piece


def _batch(frame: Frame) -> Batch:
    if "error" in frame.header:
        raise ServiceError.from_response(frame.header["status"], frame.header)
    header = frame.header
    return Batch(bytes(frame.payload), header["log"], header["damage"], header["is_last"])
