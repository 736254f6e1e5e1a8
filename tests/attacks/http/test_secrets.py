"""Attack: every way of failing, in search of a transcript, a prompt, a file name or a key in an error or a log."""

import base64
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from failing_engine import FAILURES
from rapl_protocol.frames import decode_single_frame
from rapl_protocol.testing import make_tone
from rapl_service.testing import served
from services import ServiceProcess, until
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from websockets.asyncio.client import connect

SECRET = "zanzibar-marker"
ROUTE = "/v1/audio/transcriptions"
KEY = "the-key-of-this-server"
SPEECH = make_tone(0.5).to_wav()
ENVELOPE = {"type": "server_error", "param": None, "code": "no_such_code", "message": SECRET}
TRANSCRIPT: dict[str, Any] = {
    "text": SECRET,
    "duration_s": 0.5,
    "segments": [{"start_s": 0, "end_s": 0.5, "text": SECRET}],
}
SEGMENT = {"id": 0, "start": 0, "end": 0.5, "text": SECRET}


def line(header: object) -> bytes:
    return json.dumps(header).encode() + b"\n"


ENGINE_ANSWERS = {
    "no-duration": line({"text": SECRET}),
    "wrong-type": line({**TRANSCRIPT, "duration_s": SECRET}),
    "text-is-a-list": line({**TRANSCRIPT, "text": [SECRET]}),
    "wrong-word": line(
        {**TRANSCRIPT, "segments": [{"start_s": 0, "end_s": 1, "text": "a", "words": [{"word": SECRET}]}]}
    ),
    "no-json": SECRET.encode(),
    "cut-json": line(TRANSCRIPT)[:40],
    "a-list": line([SECRET]),
    "not-utf-8": b'{"text": "' + SECRET.encode() + b'\xff"}',
    "empty": b"",
}
ENGINE_FRAMES = {
    "frame-without-duration": line({"type": "transcript", "text": SECRET}),
    "frame-of-wrong-type": line({"type": "transcript", **TRANSCRIPT, "duration_s": SECRET}),
    "unknown-frame": line({"type": SECRET, "text": SECRET}),
    "text-that-is-no-text": line({"type": "text", "text": [SECRET]}),
    "broken-frame": b'{"type": "text", "text": "' + SECRET.encode() + b"\n",
    "cut-frame": line({"type": "transcript", **TRANSCRIPT})[:40],
    "frame-with-a-wrong-size": line({"type": "text", "text": "a", "payload_bytes": SECRET}),
    "error-frame": line({"type": "error", "error": ENVELOPE}),
    "error-frame-of-wrong-type": line({"type": "error", "error": SECRET}),
}
OPENAI_ANSWERS: dict[str, tuple[int, object]] = {
    "400": (400, {"error": {"message": f"invalid prompt '{SECRET}'", "param": "prompt", "code": None}}),
    "400-as-rapl": (400, {"error": {"message": SECRET, "code": "invalid_request"}}),
    "400-param": (400, {"error": {"message": "m", "param": SECRET, "code": SECRET, "type": SECRET}}),
    "422": (422, {"detail": [{"loc": ["body", "prompt"], "msg": "bad", "input": SECRET}]}),
    "404": (404, {"error": {"message": f"no model for {SECRET}"}}),
    "413": (413, {"error": {"message": SECRET}}),
    "429": (429, {"error": {"message": SECRET, "code": "rate_limit_exceeded"}}),
    "401": (401, {"error": {"message": f"Incorrect key {SECRET}"}}),
    "500": (500, {"error": {"message": f"cannot decode {SECRET}"}}),
    "500-text": (500, SECRET),
    "503": (503, {"error": {"message": SECRET}}),
    "200-no-text": (200, {"txt": SECRET}),
    "200-wrong-type": (200, {"text": {"words": SECRET}}),
    "200-wrong-segment": (200, {"text": "a", "segments": [{**SEGMENT, "start": SECRET}]}),
    "200-text": (200, SECRET),
    "200-infinite": (200, {"text": SECRET, "segments": [{**SEGMENT, "end": 1e300}]}),
}
OPENAI_EVENTS = {
    "stream-error": f'data: {{"error": {{"message": "{SECRET}"}}}}\n\n',
    "stream-no-json": f"data: {SECRET}\n\n",
    "stream-wrong-type": f'data: {{"type": "transcript.text.done", "text": "a", "segments": "{SECRET}"}}\n\n',
    "stream-cut": f'data: {{"type": "transcript.text.delta", "delta": "{SECRET}',
}


class Broken:
    """A server that answers as the requested model says: an engine of RAPL, and a server with OpenAI's API."""

    def __init__(self) -> None:
        self.app = Starlette(
            routes=[
                Route("/v1/models", self._models),
                Route("/v1/transcribe", self._transcribe, methods=["POST"]),
                Route("/openai/models", self._listed),
                Route("/openai/audio/{kind}", self._openai, methods=["POST"]),
            ]
        )

    async def _models(self, _: Request) -> Response:
        ids = [*ENGINE_ANSWERS, *ENGINE_FRAMES]
        return JSONResponse({"models": [{"id": each, "state": "ready"} for each in ids]})

    async def _transcribe(self, request: Request) -> Response:
        model = decode_single_frame(await request.body()).header["model"]
        return Response(ENGINE_ANSWERS.get(model) or ENGINE_FRAMES.get(model))

    async def _listed(self, _: Request) -> Response:
        return JSONResponse({"data": []})

    async def _openai(self, request: Request) -> Response:
        async with request.form() as form:
            model = str(form["model"])
        if model in OPENAI_EVENTS:
            return StreamingResponse(iter([OPENAI_EVENTS[model]]), media_type="text/event-stream")
        status, body = OPENAI_ANSWERS[model]
        return Response(body, status) if isinstance(body, str) else JSONResponse(body, status)


class Services:
    """The real services as processes, in front of the broken server."""

    def __init__(self, processes: dict[str, ServiceProcess]) -> None:
        self.processes = processes
        self.url = processes["gateway"].url

    async def send(
        self, method: str = "POST", path: str = "/v1/audio/transcriptions", **request: object
    ) -> httpx.Response:
        request = {"headers": {"authorization": f"Bearer {KEY}"}, **request}
        async with httpx.AsyncClient(base_url=self.url, timeout=60) as http:
            return await http.request(method, path, **request)

    async def transcribe(self, model: str, file: bytes = SPEECH, **fields: object) -> httpx.Response:
        form = {"model": model, "prompt": SECRET, "keywords[]": [SECRET], **fields}
        return await self.send(data=form, files={"file": (f"{SECRET}.wav", file)})

    async def speak(self, model: str) -> str:
        """Commits a turn in a realtime session of its own. Returns the last event of the turn."""
        audio = base64.b64encode(make_tone(1.5).pcm).decode()
        options = {"format": {"type": "audio/pcm", "rate": 16_000}, "turn_detection": None}
        options["transcription"] = {"model": model, "prompt": SECRET, "keywords": [SECRET]}
        url = f"{self.url.replace('http', 'ws', 1)}/v1/realtime?model={SECRET}"
        async with connect(url, additional_headers={"authorization": f"Bearer {KEY}"}, proxy=None) as socket:
            await socket.send(json.dumps({"type": "session.update", "session": {"audio": {"input": options}}}))
            await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
            await socket.send(json.dumps({"type": "input_audio_buffer.commit"}))
            while not json.loads(event := str(await socket.recv()))["type"].endswith((".completed", ".failed")):
                pass
            return event

    def require_silence(self) -> None:
        """Requires that no log and no metric has the secret, and that there are some."""
        for name, process in self.processes.items():
            log = process.log.read_text(errors="replace")
            assert log, name
            assert SECRET not in log, f"{name}: {[each for each in log.splitlines() if SECRET in each][:3]}"
            assert KEY not in log, name
            metrics = httpx.get(f"{process.url}/metrics").text
            assert "rapl_requests_total{" in metrics, name
            assert SECRET not in metrics, name
            assert KEY not in metrics, name


@pytest.fixture
async def broken() -> AsyncIterator[str]:
    async with served(Broken().app) as url:
        yield url


@pytest.fixture
def services(tmp_path: Path, broken: str) -> Iterator[Services]:
    here = {"PYTHONPATH": str(Path(__file__).parent)}
    engine = ServiceProcess(sys.executable, "failing_engine", "RAPL_FAILING_PORT", tmp_path / "engine", **here)
    preprocess = ServiceProcess(
        sys.executable, "rapl_preprocess", "RAPL_PREPROCESS_PORT", tmp_path / "preprocess",
        RAPL_PREPROCESS_LOG_LEVEL="DEBUG",
    )  # fmt: skip
    backends = {"failing": (engine.url, "rapl"), "broken": (broken, "rapl"), "other": (f"{broken}/openai", "openai")}
    models = {
        "failing": FAILURES,
        "broken": [*ENGINE_ANSWERS, *ENGINE_FRAMES],
        "other": [*OPENAI_ANSWERS, *OPENAI_EVENTS],
    }
    config = [f'[backends.{name}]\nurl = "{url}"\nkind = "{kind}"' for name, (url, kind) in backends.items()]
    for backend, ids in models.items():
        config += [f'[models."{backend}/{each}"]\nbackend = "{backend}"\nid = "{each}"' for each in ids]
    (tmp_path / "rapl.toml").write_text("\n".join(config))
    settings = {
        "RAPL_CONFIG": str(tmp_path / "rapl.toml"), "RAPL_PREPROCESS_URL": preprocess.url, "RAPL_API_KEYS": KEY,
        "RAPL_LOG_LEVEL": "DEBUG", "RAPL_RESTART_WAIT_S": "0.1", "RAPL_SPEECH_DETECTION": "off",
        "RAPL_LOG_FORMAT": "json",  # the others write text
    }  # fmt: skip
    gateway = ServiceProcess(sys.executable, "rapl_gateway", "RAPL_PORT", tmp_path / "gateway", **settings)
    with ExitStack() as stack:
        for process in (engine, preprocess, gateway):
            stack.enter_context(process)
        yield Services({"engine": engine, "preprocess": preprocess, "gateway": gateway})


def require_error_without_secret(answer: httpx.Response) -> None:
    assert answer.status_code >= 400 or "event: error" in answer.text, answer.text
    assert SECRET not in answer.text
    assert SECRET not in str(answer.headers)


async def test_a_failing_engine_puts_no_text_into_an_error_or_a_log(services):
    for model in FAILURES:
        for stream in ("false", "true"):
            require_error_without_secret(await services.transcribe(f"failing/{model}", stream=stream))
    services.require_silence()
    log = services.processes["engine"].log.read_text()
    assert log.count("failing_engine.py") >= len(FAILURES)  # the places of the failures are there


async def test_a_broken_answer_of_an_engine_puts_no_text_into_an_error_or_a_log(services):
    for model in ENGINE_ANSWERS:
        require_error_without_secret(await services.transcribe(f"broken/{model}"))
    for model in ENGINE_FRAMES:
        require_error_without_secret(await services.transcribe(f"broken/{model}", stream="true"))
    services.require_silence()


async def test_a_broken_answer_of_another_server_puts_no_text_into_an_error_or_a_log(services):
    for model in OPENAI_ANSWERS:
        for fields in ({}, {"response_format": "verbose_json"}, {"stream": "true"}):
            require_error_without_secret(await services.transcribe(f"other/{model}", **fields))
    for model in OPENAI_EVENTS:
        require_error_without_secret(await services.transcribe(f"other/{model}", stream="true"))
    services.require_silence()


async def test_a_realtime_turn_that_fails_puts_no_text_into_its_error_or_a_log(services):
    answers = {"failing": FAILURES, "broken": ENGINE_ANSWERS, "other": OPENAI_ANSWERS}
    for backend, models in answers.items():
        for model in models:
            event = await services.speak(f"{backend}/{model}")
            assert json.loads(event)["type"].endswith(".failed"), event
            assert SECRET not in event
    services.require_silence()
    log = services.processes["gateway"].log.read_text()
    assert log.count('"message": "turn"') == sum(map(len, answers.values()))


WRONG_FIELDS: list[dict[str, object]] = [
    {"temperature": SECRET},
    {"stream": SECRET},
    {"chunking_strategy": SECRET},
    {"chunking_strategy": json.dumps({"type": SECRET})},
    {"chunking_strategy": json.dumps({"type": "server_vad", "threshold": SECRET})},
    {"keywords[]": [f"<{SECRET}>"]},
    {"keywords": [SECRET] * 1_001},
    {"prompt": SECRET * 10_000},
    {"known_speaker_names[]": [SECRET]},
]


async def test_a_wrong_field_is_not_quoted_in_an_error_or_a_log(services):
    for fields in WRONG_FIELDS:
        require_error_without_secret(await services.transcribe("failing/key", **fields))
    for field in ("model", "language", "response_format", "timestamp_granularities[]"):  # the error names the value
        await services.transcribe(**{"model": "failing/key", field: SECRET})
    services.require_silence()


async def test_a_broken_request_is_not_quoted_in_an_error_or_a_log(services):
    secret = SECRET.encode()
    kinds = ["application/json", "multipart/form-data", f"multipart/form-data; boundary={SECRET}", SECRET, "text/plain"]
    bodies = [secret, json.dumps({"model": "failing/key", "prompt": SECRET, "file": SECRET}).encode(), b"--" + secret]
    for kind in kinds:
        for body in bodies:
            headers = {"authorization": f"Bearer {KEY}", "content-type": kind}
            require_error_without_secret(await services.send(content=body, headers=headers))
    for key in (SECRET, f"{KEY}{SECRET}", ""):
        require_error_without_secret(await services.send(headers={"authorization": f"Bearer {key}".strip()}))
    for file in (secret, b"RIFF" + secret, b"OggS" + secret * 100_000, b"ID3" + secret):
        require_error_without_secret(await services.transcribe("failing/key", file))
    for path in (f"/{SECRET}", f"/v1/models/{SECRET}", f"/v1/models/{SECRET}/load", f"/v1/progress/{SECRET}"):
        for method in ("GET", "POST", "DELETE"):
            await services.send(method, path)
    services.require_silence()


async def test_the_services_behind_quote_no_request_in_an_error_or_a_log(services):
    engine, preprocess = services.processes["engine"].url, services.processes["preprocess"].url
    options = [
        {"model": "key", "prompt": [SECRET]},
        {"model": "key", "keywords": SECRET},
        {"model": [SECRET]},
        {"language": SECRET},
        {"model": "key", "temperature": SECRET},
        [SECRET],
        SECRET,
    ]
    bodies = [line(each) + SPEECH for each in options] + [SECRET.encode(), line({"model": "key"}) + SECRET.encode()]
    async with httpx.AsyncClient(timeout=60) as http:
        for body in bodies:
            require_error_without_secret(await http.post(f"{engine}/v1/transcribe", content=body))
        for query in ("speech_detection", "vad_threshold", "vad_silence_duration_ms"):
            answer = await http.post(f"{preprocess}/v1/prepare?{query}={SECRET}", content=SPEECH)
            require_error_without_secret(answer)
        require_error_without_secret(await http.post(f"{preprocess}/v1/speech", content=SECRET.encode() * 9))
    until("the failed requests are logged", lambda: "status=400" in services.processes["engine"].log.read_text(), 10)
    services.require_silence()
