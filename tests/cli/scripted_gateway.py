"""A gateway whose models are in the states that a test chooses, and which transcribes nothing."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ScriptedGateway(ThreadingHTTPServer):
    """Answers with a model's next state; the last one stays. A transcription has the text `text`."""

    def __init__(self, *states: dict[str, Any], text: str = "hello") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.states = list(states)
        self.text = text
        self.requests: list[str] = []
        """Method and path of each request."""

    @contextmanager
    def serving(self) -> Iterator["ScriptedGateway"]:
        thread = threading.Thread(target=self.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            thread.join()
            self.server_close()

    def transcriptions(self) -> int:
        return self.requests.count("POST /v1/audio/transcriptions")

    def model(self) -> dict[str, Any]:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return {"id": "example/model", "engine_model": "example/model", "owned_by": "example-service", **state}


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedGateway

    def do_GET(self) -> None:
        self.server.requests.append(f"GET {self.path}")
        if self.path == "/health/ready":
            self._answer(503, {"status": "not ready", "model": "example/model", "problems": {}})
        else:
            self._answer(200, self.server.model())

    def do_POST(self) -> None:
        self.server.requests.append(f"POST {self.path}")
        self.rfile.read(int(self.headers.get("content-length") or 0))
        model = self.server.model()
        if self.path.endswith("/load"):
            self._answer(200, model)
        elif model["state"] == "ready":
            self._answer(200, {"text": self.server.text, "duration": 1.0})
        else:
            code = "backend_unavailable" if model["state"] == "unreachable" else model.get("code", "model_not_ready")
            message = f"{model.get('reason', model['state'])}. {model.get('remedy', '')}".strip()
            self._answer(404 if code == "model_not_found" else 503, {"error": {"message": message, "code": code}})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        if status == 503:
            self.send_header("retry-after", "1")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass
