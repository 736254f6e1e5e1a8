"""A stub engine: discards the audio, waits a set time, and answers with generated text.

It must be faster than the programs that are measured with it. It implements the protocol of RAPL's engines
(`/v1/transcribe`) and OpenAI's (`/v1/audio/transcriptions`) as far as the measurements need them. It only counts the
bytes of a body. On one core of an AMD EPYC it answered about ten thousand 160 kB requests per second, without the load
generator's share of the core. The row "the stub itself" of a table shows its cost.

    python -m rapl_bench.stub_engine 8020        # PUT /stub/engine-ms with the body 50: each answer takes 50 ms
    python -m rapl_bench.stub_engine 8020 1      # computes one request at a time, like most engines
    python -m rapl_bench.stub_engine 8020 1 100  # also at 127.0.0.2 to 127.0.0.100, as if it were a hundred replicas
"""

import asyncio
import heapq
import json
import signal
import sys
import time
from typing import cast

import uvloop

MODEL = "stub/engine"
WORDS_PER_S = 2
"""A natural rate of words. The words are consecutive numbers, which are never repeated, so that the gateway's checks
find no problem and no segment is transcribed twice."""
PARALLEL = 256
"""Requests that the stub computes at a time. It reports this number, so that the gateway does not queue requests."""
_BUFFER_BYTES = 1 << 18
_KEPT_BODY_BYTES = 4096
"""Bytes that are kept from the start of a body. The options before the audio are shorter."""
_WAV_HEADER_BYTES = 44
_PCM_BYTES_PER_S = 32_000
_JSON = b"application/json"


class Engine:
    """The state that all connections share."""

    def __init__(self, parallel: int) -> None:
        self.takes_s = 0.0
        self.calls = 0
        self._words = 0
        self._free_at_s = [0.0] * parallel
        """A heap: the time at which each of the parallel workers is free."""

    def answer(self, path: str, body_start: bytes, body_bytes: int) -> tuple[int, bytes, float]:
        """Returns the status, the body, and the time until the answer in seconds."""
        match path:
            case "/v1/transcribe":
                self.calls += 1
                return 200, self._rapl_answer(body_start, body_bytes), self._work_s()
            case "/v1/audio/transcriptions":
                self.calls += 1
                return 200, json.dumps({"text": self._text(body_bytes)}).encode(), self._work_s()
            case "/v1/models":
                info = {"id": MODEL, "object": "model", "state": "ready", "parallel": len(self._free_at_s)}
                return 200, json.dumps({"models": [info], "data": [info]}).encode(), 0.0
            case "/stub/engine-ms":
                self.takes_s = float(body_start) / 1000
                return 200, b"{}", 0.0
            case "/stub/calls":
                return 200, json.dumps({"calls": self.calls}).encode(), 0.0
            case "/v1/traces":  # the stub is also a collector of traces, which discards them
                return 200, b"{}", 0.0
            case "/health/live" | "/health/ready":
                return 200, b'{"status": "ok"}', 0.0
            case _:
                return 404, b'{"error": {"message": "the stub has no such path"}}', 0.0

    def _rapl_answer(self, body_start: bytes, body_bytes: int) -> bytes:
        line_end = body_start.find(b"\n") + 1
        options = json.loads(body_start[:line_end])
        pcm_bytes = body_bytes - line_end - _WAV_HEADER_BYTES
        text, duration_s = self._text(pcm_bytes), pcm_bytes / _PCM_BYTES_PER_S
        segment = {"start_s": 0.0, "end_s": duration_s, "text": text, "language": "en"}
        transcript = {"text": text, "language": "en", "duration_s": duration_s, "segments": [segment]}
        if options.get("stream"):
            return json.dumps({"type": "transcript", **transcript}).encode() + b"\n"
        return json.dumps(transcript).encode()

    def _text(self, audio_bytes: int) -> str:
        before, self._words = self._words, self._words + max(1, WORDS_PER_S * audio_bytes // _PCM_BYTES_PER_S)
        return " ".join(map(str, range(before, self._words)))

    def _work_s(self) -> float:
        """Returns the seconds that a request that arrives now takes, including the wait for a free worker."""
        now_s = time.monotonic()
        done_s = max(now_s, self._free_at_s[0]) + self.takes_s
        heapq.heapreplace(self._free_at_s, done_s)
        return done_s - now_s


class StubConnection(asyncio.BufferedProtocol):
    """Serves HTTP/1.1 requests with a Content-Length, one after another."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._head = bytearray()
        self._body_start = bytearray()
        self._body_bytes = 0
        self._missing_bytes = 0
        self._path = ""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports are not subclasses of it

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if not self._path:
            nbytes = self._take_head(self._buffer[:nbytes])
            if not self._path:
                return
        else:
            self._keep(self._buffer[:nbytes])
        self._missing_bytes -= nbytes
        if self._missing_bytes <= 0:
            self._answer_request()

    def _take_head(self, piece: memoryview) -> int:
        """Reads the header; returns how many bytes of the body came with its end."""
        self._head += piece
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            return 0
        first, _, fields = bytes(self._head[:end]).partition(b"\r\n")
        self._path = first.split(b" ", 2)[1].decode("latin-1").partition("?")[0]
        self._missing_bytes = self._body_bytes = _content_length(fields)
        with memoryview(self._head) as head:
            self._keep(head[end + 4 :])
        came = len(self._head) - end - 4
        self._head.clear()
        return came

    def _keep(self, piece: memoryview) -> None:
        room = _KEPT_BODY_BYTES - len(self._body_start)
        if room > 0:
            self._body_start += piece[:room]

    def _answer_request(self) -> None:
        status, body, takes_s = self._engine.answer(self._path, bytes(self._body_start), self._body_bytes)
        self._path = ""
        self._body_start.clear()
        reason = b"OK" if status == 200 else b"Not Found"
        head = b"HTTP/1.1 %d %s\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n" % (status, reason, _JSON, len(body))
        if takes_s:
            asyncio.get_running_loop().call_later(takes_s, self._send, head + body)
        else:
            self._send(head + body)

    def _send(self, answer: bytes) -> None:
        if self._transport is not None:
            self._transport.write(answer)


def _content_length(fields: bytes) -> int:
    for line in fields.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
        if name.lower() == b"transfer-encoding":
            raise ValueError("the stub requires a Content-Length")
    return 0


async def serve(port: int, parallel: int = PARALLEL, addresses: int = 1) -> None:
    """Serves on 127.0.0.1 and the addresses after it, until SIGTERM or SIGINT. Only Linux has several."""
    loop, engine, stopped = asyncio.get_running_loop(), Engine(parallel), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    hosts = [f"127.0.0.{number}" for number in range(1, addresses + 1)]
    server = await loop.create_server(lambda: StubConnection(engine), hosts, port, backlog=512)
    await stopped.wait()
    server.close()


if __name__ == "__main__":
    uvloop.run(serve(*map(int, sys.argv[1:])))
