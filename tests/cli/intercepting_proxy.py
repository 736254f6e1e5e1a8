"""A proxy in front of the gateway that counts requests, and that answers, holds or drops them when a test needs it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

HANG_UP = 0
_TIMEOUT_S = 300


class InterceptingProxy(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, gateway_url: str, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.gateway_url = gateway_url
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.requests = 0
        self.last_body = b""
        self.next_answers: list[tuple[int, dict[str, str]]] = []
        """Statuses (or HANG_UP) and headers with which the proxy itself answers the next requests."""
        self.forward_limit = 1_000_000
        """The number of requests to forward; later ones get no answer."""
        self.closing = threading.Event()

    @contextmanager
    def serving(self) -> Iterator[None]:
        thread = threading.Thread(target=self.serve_forever)
        thread.start()
        try:
            yield
        finally:
            self.closing.set()
            self.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: InterceptingProxy

    def do_POST(self) -> None:
        proxy, left, body = self.server, int(self.headers["content-length"]), bytearray()
        while left and (chunk := self.rfile.read(min(left, 1 << 20))):
            left -= len(chunk)
            body += chunk if len(body) < 1 << 24 else b""
        proxy.last_body = bytes(body)
        proxy.requests += 1
        if proxy.next_answers:
            status, headers = proxy.next_answers.pop(0)
            if status == HANG_UP:
                self.close_connection = True
                return None
            return self._answer(status, headers, b'{"error": {"message": "The model is being loaded."}}')
        if proxy.requests > proxy.forward_limit:
            proxy.closing.wait(_TIMEOUT_S)
            return None
        headers = {"content-type": self.headers["content-type"]}
        answer = httpx.post(proxy.gateway_url + self.path, content=bytes(body), headers=headers, timeout=_TIMEOUT_S)
        return self._answer(answer.status_code, {"content-type": answer.headers["content-type"]}, answer.content)

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
