"""The pool of decoding processes. If a process crashes, hangs or exceeds its limits, only its file is refused."""

import asyncio
import contextvars
import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import asdict
from typing import Literal, Self

from rapl_protocol.errors import ServiceError
from rapl_protocol.frames import Frame, decode_frames
from rapl_protocol.prepared import PrepareOptions, PrepareProgress
from rapl_protocol.wire import encode_prepared_event
from rapl_service.http.upload import Upload

from rapl_preprocess.batches import Batch
from rapl_preprocess.media.containers import undecodable
from rapl_preprocess.settings import Settings
from rapl_preprocess.workers.limits import Limits

DECODER_ENDED = "The audio file could not be decoded: the decoder crashed, or exceeded its limit of time or memory."
_START_LIMIT_S = 60.0
_RETRY_S = 1.0
_RECEIVE_BYTES = 1 << 18

# What is sent instead of a batch that is skipped, so that the client does not take the service for hung. How far the
# second decoder is, is not known here.
_STILL_DECODING = Batch(b"".join(encode_prepared_event(PrepareProgress(position_s=0.0))))
_ZYGOTE, _SPAWNER = "rapl_preprocess.workers.zygote", "rapl_preprocess.workers.spawner"
_PARENTS = {"fork": _ZYGOTE, "spawn": _SPAWNER, "auto": _ZYGOTE if sys.platform == "linux" else _SPAWNER}
"""The module of the process that starts the decoders, for each value of the setting."""

JobKind = Literal["prepare", "clip"]

log = logging.getLogger("rapl")


class _DecoderEnded(Exception):
    """The decoder exited before the end of the file."""


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
        self.deaths = 0
        """How many decoders have ended before the end of their file."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._parent: subprocess.Popen[bytes] | None = None
        self._parent_socket: socket.socket | None = None

    async def __aenter__(self) -> Self:
        for _ in range(self._settings.workers):
            self._start_decoder()
        async with asyncio.timeout(_START_LIMIT_S):
            self._idle.put_nowait(await self._idle.get())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for control in self._alive:
            control.close()
        await asyncio.to_thread(self._end_parent)

    @property
    def idle(self) -> int:
        """Decoders that wait for a file."""
        return self._idle.qsize()

    @property
    def busy(self) -> int:
        """Decoders that start or have a file."""
        return len(self._alive) - self._idle.qsize()

    @property
    def waiting(self) -> int:
        """Files that wait for a decoder."""
        return self._waiting

    async def batches(self, upload: Upload, options: PrepareOptions, kind: JobKind) -> AsyncGenerator[Batch, None]:
        """Yields the batches of a file. Closing the generator closes the decoder's output, which stops the decoder.

        If the decoder ends before the end of the file, another one decodes the file again, and its batches are skipped
        up to that place: the same file always gives the same batches. The first decoder may have been killed for a
        reason that has nothing to do with the file, such as a lack of memory. If the second one ends too, the file is
        the probable cause.

        Args:
            upload: the file.
            options: how speech is detected, and which audio track is decoded.
            kind: "prepare" for segments, "clip" for the whole audio of a short file.

        Raises:
            ServiceError: the errors of `prepare` and `clip`; AUDIO_UNDECODABLE if two decoders exited before the end of
                the file.
        """
        sent = 0
        with _kept_open(upload) as file:
            for is_last_attempt in (False, True):
                seen = 0
                try:
                    async with aclosing(self._decoded(upload, file, options, kind)) as batches:
                        async for batch in batches:
                            seen += 1
                            if seen > sent:
                                sent = seen
                                yield batch
                            elif kind == "prepare":
                                yield _STILL_DECODING
                    return
                except _DecoderEnded as error:
                    self.deaths += 1
                    if is_last_attempt:
                        raise undecodable(DECODER_ENDED) from error
                    log.warning("a decoder ended before the end of its file; another one decodes the file again")

    async def _decoded(
        self, upload: Upload, file: int | None, options: PrepareOptions, kind: JobKind
    ) -> AsyncGenerator[Batch, None]:
        """Yields the batches from one decoder. Raises: ServiceError; _DecoderEnded."""
        output, remote = socket.socketpair()
        output.setblocking(False)
        control = None
        try:
            with remote:
                control = await self._send_job(upload, file, options, kind, remote)
            if file is None:
                await asyncio.get_running_loop().sock_sendall(output, upload.content())
            is_last = False
            async for frame in decode_frames(_received(output)):
                batch = _batch(frame)
                is_last = batch.is_last
                yield batch
            if not is_last:
                raise _DecoderEnded
        except (ValueError, BrokenPipeError, ConnectionResetError) as error:
            raise _DecoderEnded from error
        finally:
            output.close()
            if control:
                self._watch(control)

    async def _send_job(
        self, upload: Upload, file: int | None, options: PrepareOptions, kind: JobKind, output: socket.socket
    ) -> socket.socket:
        """Sends the file to a decoder, and returns the decoder's control socket."""
        job = {"kind": kind, "options": options.model_dump(), "max_duration_s": self._settings.max_duration_s}
        line = json.dumps({**job, "inline_bytes": upload.size_bytes if file is None else 0}).encode() + b"\n"
        descriptors = [output.fileno(), *([] if file is None else [file])]
        while True:
            control = await self._idle_decoder()
            try:
                socket.send_fds(control, [line], descriptors)
                return control
            except (BrokenPipeError, ConnectionResetError):  # the process has ended while it was idle
                self._discard(control)
                self._start_decoder()

    async def _idle_decoder(self) -> socket.socket:
        if self._idle.empty() and len(self._alive) < self._settings.max_workers:
            self._start_decoder()
        self._waiting += 1
        try:
            return await self._idle.get()
        finally:
            self._waiting -= 1

    def _start_decoder(self) -> None:
        control, remote = socket.socketpair()
        control.setblocking(False)
        with remote:
            try:
                self._request_decoder(remote)
            except (BrokenPipeError, ConnectionResetError):
                log.warning("the process that starts the decoders has exited; starting a new one")
                self._end_parent()
                self._request_decoder(remote)
        self._alive.add(control)
        self._watch(control, is_new=True)

    def _request_decoder(self, remote: socket.socket) -> None:
        if self._parent_socket is None:
            self._parent_socket = self._start_parent()
        socket.send_fds(self._parent_socket, [b"s"], [remote.fileno()])

    def _start_parent(self) -> socket.socket:
        parent_socket, remote = socket.socketpair()
        with remote:
            command = [sys.executable, "-m", _PARENTS[self._settings.decoder_start], str(remote.fileno())]
            command += [json.dumps(asdict(self._limits)), self._settings.log_level, self._settings.log_format]
            self._parent = subprocess.Popen(command, pass_fds=[remote.fileno()], stdin=subprocess.DEVNULL)
        return parent_socket

    def _end_parent(self) -> None:
        """Waits for the end of the process that starts the decoders; returns at once if it has ended already."""
        if self._parent_socket and self._parent:
            self._parent_socket.close()
            self._parent.wait()
            self._parent_socket = self._parent = None

    def _watch(self, control: socket.socket, is_new: bool = False) -> None:
        # Without the context of the request that was the reason: the decoder outlives it.
        task = asyncio.create_task(self._return_to_idle(control, is_new), context=contextvars.Context())
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
            self._start_decoder()

    def _discard(self, control: socket.socket) -> None:
        self._alive.discard(control)
        control.close()


@contextmanager
def _kept_open(upload: Upload) -> Iterator[int | None]:
    """Gives a descriptor of the temporary file, None if there is none. The upload itself is closed when the response
    begins, and the file may be needed once more after that."""
    if upload.file is None:
        yield None
        return
    file = os.dup(upload.file.fileno())
    try:
        yield file
    finally:
        os.close(file)


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
