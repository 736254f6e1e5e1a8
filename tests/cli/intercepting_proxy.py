"""A server that stands before the gateway, and turns away, holds or loses what comes when a test wants it."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

HANG_UP = 0
_PATIENCE_S = 300


class Door(ThreadingHTTPServer):
    """Stands before the gateway: counts what comes, may turn it away or hold it, and lets the rest through."""

    daemon_threads = True

    def __init__(self, gateway_url: str, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Visitor)
        self.gateway_url = gateway_url
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.came = 0
        self.last_body = b""
        self.refusals: list[tuple[int, dict[str, str]]] = []
        """Statuses (or HANG_UP) and headers of the next answers."""
        self.open_for = 1_000_000
        """How many may pass; later ones wait."""
        self.closing = threading.Event()


class _Visitor(BaseHTTPRequestHandler):
    server: Door

    def do_POST(self) -> None:
        door, left, body = self.server, int(self.headers["content-length"]), bytearray()
        while left and (piece := self.rfile.read(min(left, 1 << 20))):
            left -= len(piece)
            body += piece if len(body) < 1 << 24 else b""
        door.last_body = bytes(body)
        door.came += 1
        if door.refusals:
            status, headers = door.refusals.pop(0)
            if status == HANG_UP:
                self.close_connection = True
                return None
            return self._answer(status, headers, b'{"error": {"message": "The model is being loaded."}}')
        if door.came > door.open_for:
            door.closing.wait(_PATIENCE_S)
            return None
        headers = {"content-type": self.headers["content-type"]}
        passed = httpx.post(door.gateway_url + self.path, content=bytes(body), headers=headers, timeout=_PATIENCE_S)
        return self._answer(passed.status_code, {"content-type": passed.headers["content-type"]}, passed.content)

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
