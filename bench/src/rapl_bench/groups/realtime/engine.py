"""An engine behind RAPL's engine protocol, one segment at a time. Needs no package of this repository.

python engine.py PORT whisper ID=FOLDER...    # CTranslate2, greedily, on all cores; needs faster-whisper
python engine.py PORT slowed URL              # the engine at URL, in the time that SenseVoice takes
"""

import io
import json
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

SENSEVOICE_BASE_S = 0.022
SENSEVOICE_SECONDS_PER_S = 0.0192
"""SenseVoiceSmall's real dimensions on two cores: 118 ms for 5 s of audio, 599 ms for 30 s."""
_PCM_BYTES_PER_S = 32_000
_WAV_HEADER_BYTES = 44
_DECODING = ("temperature", "avg_logprob", "compression_ratio", "no_speech_prob")


class Engine(Protocol):
    def models(self) -> bytes: ...

    def transcribe(self, body: bytes) -> bytes: ...


class Whisper:
    """Whisper with CTranslate2. `models` are texts of the form ID=FOLDER; all are loaded at once."""

    def __init__(self, *models: str) -> None:
        from faster_whisper import WhisperModel

        folders = dict(model.split("=", 1) for model in models)
        self._models = {
            name: WhisperModel(folder, device="cpu", compute_type="float32") for name, folder in folders.items()
        }

    def models(self) -> bytes:
        found = [{"id": name, "state": "ready"} for name in self._models]
        return json.dumps({"models": found}).encode()

    def transcribe(self, body: bytes) -> bytes:
        line, _, wav = body.partition(b"\n")
        options = json.loads(line)
        model = self._models[options["model"]]
        found, info = model.transcribe(io.BytesIO(wav), language=options.get("language"), beam_size=1, best_of=1)
        segments = [_segment(each, info) for each in found if each.text.strip() and each.start < info.duration]
        transcript = {
            "type": "transcript",
            "text": "".join(each["text"] for each in segments).strip(),
            "language": info.language,
            "duration_s": info.duration,
            "segments": segments,
        }
        return json.dumps(transcript).encode() + b"\n"


def _segment(found: Any, info: Any) -> dict[str, Any]:
    """As mlx-service answers: within the audio."""
    return {
        "start_s": found.start,
        "end_s": max(found.start, min(found.end, info.duration)),
        "text": found.text,
        "language": info.language,
        "decoding": {name: getattr(found, name) for name in _DECODING},
    }


class Slowed:
    """Passes requests on to the engine at `url`, and waits until the answer is as old as SenseVoice's would be."""

    def __init__(self, url: str) -> None:
        self._url = url

    def models(self) -> bytes:
        with urllib.request.urlopen(f"{self._url}/v1/models") as answer:
            return answer.read()

    def transcribe(self, body: bytes) -> bytes:
        audio_s = (len(body) - body.find(b"\n") - _WAV_HEADER_BYTES) / _PCM_BYTES_PER_S
        until = time.monotonic() + SENSEVOICE_BASE_S + SENSEVOICE_SECONDS_PER_S * audio_s
        with urllib.request.urlopen(urllib.request.Request(f"{self._url}/v1/transcribe", body)) as answer:
            transcript = answer.read()
        time.sleep(max(0.0, until - time.monotonic()))
        return transcript


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else the second packet of an answer waits for 40 ms
    engine: Engine
    one_at_a_time = threading.Lock()

    def do_GET(self) -> None:
        self._answer(self.engine.models() if self.path == "/v1/models" else b"{}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        with self.one_at_a_time:
            answer = self.engine.transcribe(body)
        self._answer(answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a log line for each request is of no use here."""

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    port, kind, *arguments = sys.argv[1:]
    Handler.engine = {"whisper": Whisper, "slowed": Slowed}[kind](*arguments)
    ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main()
