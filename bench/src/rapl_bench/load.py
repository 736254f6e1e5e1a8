"""The load generator: a closed loop over persistent connections, on plain sockets.

It builds a request once and sends the same bytes again and again. It shares the cores with the measured program and
needs about 60 µs for a 160 kB request, which matters in rows with several thousand requests per second. The row of the
stub itself in the same run shows its limit.
"""

import selectors
import socket
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

ANSWER_LIMIT_S = 120.0
API_KEY = "sk-b7d0c5e2f94a41738c06d1e85f3a92b4"
"""LiteLLM does not start without a key. RAPL and the stub accept any key."""
_READ_BYTES = 1 << 18
_LAST_CHUNK = b"\r\n0\r\n\r\n"


class LoadError(Exception):
    """A request failed or got another status than 200, so its timing is meaningless."""


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request as bytes."""

    host: str
    port: int
    payload: bytes
    """Header and body."""


def post(url: str, body: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> Call:
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    lines = [f"POST {target} HTTP/1.1", f"host: {parts.netloc}", f"content-type: {content_type}"]
    lines += [f"content-length: {len(body)}", *(f"{name}: {value}" for name, value in (headers or {}).items())]
    return Call(parts.hostname, parts.port, "\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def transcription(url: str, audio: bytes, file_name: str, model: str) -> Call:
    """A request to `/v1/audio/transcriptions` of the server at `url`, as OpenAI's clients write it."""
    boundary = "rapl-bench-4a1f7c"
    name = f'name="file"; filename="{file_name}"'
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="model"\r\n\r\n{model}\r\n'
        f"--{boundary}\r\nContent-Disposition: form-data; {name}\r\nContent-Type: application/octet-stream\r\n\r\n"
    ).encode() + audio + f"\r\n--{boundary}--\r\n".encode()  # fmt: skip
    headers = {"authorization": f"Bearer {API_KEY}"}
    return post(f"{url}/v1/audio/transcriptions", body, f"multipart/form-data; boundary={boundary}", headers)


@dataclass(slots=True)
class LoadResult:
    """The timings of a run."""

    took_s: float
    """Wall time of the run."""
    latencies_s: list[float] = field(default_factory=list)
    """For each request: from its first byte sent to the last byte of its answer."""

    @property
    def requests_per_s(self) -> float:
        return len(self.latencies_s) / self.took_s


def run_load(call: Call, *, at_once: int, count: int | None = None, for_s: float | None = None) -> LoadResult:
    """Sends requests over `at_once` connections. Each connection sends the next request after the previous answer.

    Args:
        call: the request to send.
        at_once: number of connections.
        count: total number of requests; None for no limit.
        for_s: no new request starts after this time. Each connection sends at least one request.

    Raises:
        LoadError: a request failed.
    """
    run = _Run(call, at_once, count, for_s)
    try:
        return run.completed()
    finally:
        run.close()


def median_latency_s(call: Call, count: int) -> float:
    """The median of `count` requests, sent one after another.

    Raises:
        LoadError: a request failed.
    """
    return statistics.median(run_load(call, at_once=1, count=count).latencies_s)


class _Run:
    def __init__(self, call: Call, at_once: int, count: int | None, for_s: float | None) -> None:
        self._payload = memoryview(call.payload)
        self._count, self._for_s = count, for_s
        self._begun = 0
        self._began = 0.0
        self._selector = selectors.DefaultSelector()
        self._connections = [_Connection(call) for _ in range(at_once if count is None else min(at_once, count))]
        self._latencies_s: list[float] = []

    def completed(self) -> LoadResult:
        for connection in self._connections:
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        self._began = time.perf_counter()
        for connection in self._connections:
            self._begin(connection)
        while len(self._latencies_s) < self._begun:
            ready = self._selector.select(ANSWER_LIMIT_S)
            if not ready:
                raise LoadError(f"no answer within {ANSWER_LIMIT_S:g} s")
            for key, events in ready:
                self._handle(key.data, events)
        return LoadResult(time.perf_counter() - self._began, self._latencies_s)

    def close(self) -> None:
        self._selector.close()
        for connection in self._connections:
            connection.socket.close()

    def _begin(self, connection: "_Connection") -> None:
        self._begun += 1
        connection.begin()
        self._send(connection)

    def _send(self, connection: "_Connection") -> None:
        was_sending = connection.is_sending
        connection.sent += _sent(connection.socket, self._payload[connection.sent :])
        connection.is_sending = connection.sent < len(self._payload)
        if connection.is_sending != was_sending:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.is_sending else 0)
            self._selector.modify(connection.socket, events, connection)

    def _handle(self, connection: "_Connection", events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._send(connection)
        if events & selectors.EVENT_READ and connection.receive():
            self._latencies_s.append(time.perf_counter() - connection.began)
            if self._may_begin():
                self._begin(connection)

    def _may_begin(self) -> bool:
        if self._count is not None and self._begun >= self._count:
            return False
        return self._for_s is None or time.perf_counter() - self._began < self._for_s


class _Connection:
    def __init__(self, call: Call) -> None:
        self.socket = socket.create_connection((call.host, call.port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.sent = 0
        self.is_sending = False
        self.began = 0.0
        self._answer = bytearray()

    def begin(self) -> None:
        self.sent = 0
        self._answer.clear()
        self.began = time.perf_counter()

    def receive(self) -> bool:
        """Reads the next bytes, and returns True at the end of an answer.

        Raises:
            LoadError: the connection was closed, or the status is not 200.
        """
        received = self.socket.recv(_READ_BYTES)
        if not received:
            raise LoadError(f"the connection was closed before the end of the answer: {bytes(self._answer[:500])!r}")
        self._answer += received
        end = self._answer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self._answer[:end])
        if not _is_whole(head, self._answer, end + 4):
            return False
        if b" 200 " not in head[:16]:
            raise LoadError(f"answered with {bytes(self._answer[:500])!r}")
        return True


def _sent(to: socket.socket, payload: memoryview) -> int:
    try:
        return to.send(payload)
    except BlockingIOError:
        return 0


def _is_whole(head: bytes, answer: bytearray, body_start: int) -> bool:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        match name.lower():
            case b"content-length":
                return len(answer) >= body_start + int(value)
            case b"transfer-encoding":
                return answer.endswith(_LAST_CHUNK)
    raise LoadError(f"an answer without a length: {head!r}")
