"""One request, and one realtime session with its turns, is one trace through the gateway, preprocess-service and the
engine."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from media import as_media
from otlp_collector import Collector, collector
from rapl_protocol.audio import WavAudio
from realtime_turn import speak_turn
from services import SAMPLE_TEXTS, SELFTEST, ServiceProcess, until

SECRET = "zanzibar-marker"
KEY = "the-key-of-this-server"
CALLER = "b7ad6b7169203331"
SESSION = "WEBSOCKET /v1/realtime"
FILE = frozenset({("rapl-gateway", "POST /v1/audio/transcriptions")})
REALTIME = frozenset({("rapl-gateway", SESSION), ("rapl-preprocess-service", "WEBSOCKET /v1/live")})


class TracedFleet:
    def __init__(self, processes: dict[str, ServiceProcess], collected: Collector) -> None:
        self.processes = processes
        self.collected = collected

    def send(self, file: bytes, *, trace: str, flags: str = "01", **fields: str) -> httpx.Response:
        headers = {"traceparent": f"00-{trace}-{CALLER}-{flags}", "authorization": f"Bearer {KEY}"}
        form = {"model": SELFTEST, "prompt": SECRET, **fields}
        url = f"{self.processes['gateway'].url}/v1/audio/transcriptions"
        return httpx.post(url, data=form, files={"file": (f"{SECRET}.wav", file)}, headers=headers, timeout=60)

    def speak(self, *, trace: str, flags: str = "01") -> dict[str, Any]:
        """Speaks a turn. Returns its last event."""
        traceparent = f"00-{trace}-{CALLER}-{flags}"
        url = self.processes["gateway"].url
        return speak_turn(url, SELFTEST, SECRET, traceparent=traceparent, authorization=f"Bearer {KEY}")

    def spans(self, trace: str, last: frozenset[tuple[str, str]] = FILE) -> dict[str, tuple[str, Any]]:
        """The spans of a trace when all services have sent theirs, by their ids, each with its service.

        Args:
            trace: the trace's id.
            last: service and name of the spans that end last.
        """

        def found() -> dict[str, tuple[str, Any]]:
            return {s.span_id.hex(): (name, s) for name, s in self.collected.spans() if s.trace_id.hex() == trace}

        def is_whole() -> bool:
            names = {(name, span.name) for name, span in found().values()}
            return len({name for name, _ in names}) == 3 and last <= names

        until("all services have sent their spans, also those that end last", is_whole, 20)
        return found()


@pytest.fixture(scope="module")
def traced(sensevoice_python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TracedFleet]:
    folder = tmp_path_factory.mktemp("traces")
    with ExitStack() as stack:
        collected = stack.enter_context(collector())
        starts = {
            "preprocess": (sys.executable, "rapl_preprocess", "RAPL_PREPROCESS_PORT", {}),
            "sensevoice": (
                sensevoice_python, "rapl_sensevoice", "RAPL_SENSEVOICE_PORT",
                {"RAPL_SENSEVOICE_MODEL_DIR": str(folder / "models")},
            ),
        }  # fmt: skip
        processes = {
            name: stack.enter_context(ServiceProcess(python, module, port, folder / name, **collected.environ, **more))
            for name, (python, module, port, more) in starts.items()
        }
        urls = {f"RAPL_{name.upper()}_URL": process.url for name, process in processes.items()}
        config = folder / "rapl.toml"
        config.touch()
        more = {"RAPL_CONFIG": str(config), "RAPL_API_KEYS": KEY, "RAPL_LOG_LEVEL": "DEBUG"}
        gateway = ServiceProcess(
            sys.executable, "rapl_gateway", "RAPL_PORT", folder / "gateway", **collected.environ, **urls, **more
        )
        processes["gateway"] = stack.enter_context(gateway)
        until("the model is ready", lambda: "state=ready" in processes["sensevoice"].log.read_text())
        yield TracedFleet(processes, collected)


def tree(spans: dict[str, tuple[str, Any]]) -> set[tuple[str, str, str]]:
    """The service and the name of each span, and the same of its parent: `the caller` if no service has it."""
    found = set()
    for service, span in spans.values():
        of_service, parent = spans.get(span.parent_span_id.hex(), ("the caller", None))
        found.add((service, span.name, f"{of_service} {parent.name}" if parent else of_service))
    return found


@pytest.mark.parametrize(
    ("kind", "stream", "trace"), [("wav", "false", "a" * 32), ("m4a", "false", "b" * 32), ("wav", "true", "c" * 32)]
)
def test_a_request_is_one_trace_through_all_services(traced, sample, kind, stream, trace):
    file = sample if kind == "wav" else as_media(bytes(WavAudio.from_wav(sample).pcm), kind)

    assert traced.send(file, trace=trace, stream=stream).status_code == 200
    parents = {(service, name): parent for service, name, parent in tree(traced.spans(trace))}
    request = "rapl-gateway POST /v1/audio/transcriptions"
    assert parents["rapl-gateway", "POST /v1/audio/transcriptions"] == "the caller"
    assert parents["rapl-sensevoice-service", "POST /v1/transcribe"] == "rapl-gateway segment"
    preprocessing = "POST /v1/speech" if kind == "wav" else "POST /v1/clip"
    assert parents["rapl-preprocess-service", preprocessing] == request
    stages = {name for (service, name), parent in parents.items() if parent == request and service == "rapl-gateway"}
    assert {"receive", "prepare", "queue", "segment", "send"} <= stages
    logged = [traced.processes[name].log.read_text() for name in traced.processes]
    assert all(f"trace_id={trace}" in log for log in logged)


def test_a_realtime_turn_is_in_one_trace_through_all_services(traced):
    trace = "d" * 32

    assert traced.speak(trace=trace)["transcript"] == SAMPLE_TEXTS[SELFTEST]
    spans = traced.spans(trace, REALTIME)
    found = tree(spans)
    assert ("rapl-gateway", SESSION, "the caller") in found
    assert ("rapl-preprocess-service", "WEBSOCKET /v1/live", f"rapl-gateway {SESSION}") in found
    assert ("rapl-gateway", "turn", f"rapl-gateway {SESSION}") in found
    assert ("rapl-gateway", "final_pass", "rapl-gateway turn") in found
    assert ("rapl-gateway", "segment", "rapl-gateway turn") in found  # a pass over the open turn
    assert ("rapl-sensevoice-service", "POST /v1/transcribe", "rapl-gateway segment") in found
    assert any(name == "POST /v1/speech" and parent.startswith("rapl-gateway") for _, name, parent in found)
    [turn] = [span for _, span in spans.values() if span.name == "turn"]
    described = {each.key for each in turn.attributes}
    assert {"rapl.model", "rapl.outcome", "rapl.audio_s", "rapl.final_s", "rapl.passes"} <= described
    log = traced.processes["gateway"].log.read_text()
    [line] = [line for line in log.splitlines() if " turn=" in line and f"trace_id={trace}" in line]
    assert " outcome=completed " in line
    assert all(f"trace_id={trace}" in process.log.read_text() for process in traced.processes.values())


def test_a_realtime_session_that_the_caller_does_not_sample_is_sampled_nowhere(traced):
    unsampled, sampled = "4" * 32, "5" * 32

    assert traced.speak(trace=unsampled, flags="00")["type"].endswith(".completed")
    traced.speak(trace=sampled)
    traced.spans(sampled, REALTIME)
    assert unsampled not in {span.trace_id.hex() for _, span in traced.collected.spans()}


def test_a_request_that_the_caller_does_not_sample_is_sampled_nowhere(traced, sample):
    unsampled, sampled = "1" * 32, "2" * 32

    assert traced.send(sample, trace=unsampled, flags="00").status_code == 200
    traced.send(sample, trace=sampled)
    traced.spans(sampled)
    assert unsampled not in {span.trace_id.hex() for _, span in traced.collected.spans()}


def test_a_key_a_file_name_a_prompt_and_a_transcript_are_in_no_span_and_no_log(traced, sample):
    traced.send(sample, trace="3" * 32)
    traced.send(b"no media", trace="3" * 32)
    traced.send(sample, trace="3" * 32, response_format=SECRET)
    traced.spans("3" * 32)
    traced.speak(trace="6" * 32)
    traced.spans("6" * 32, REALTIME)
    sent = b"".join(traced.collected.bodies)

    assert b"audio_undecodable" in sent
    for text in (SECRET, KEY, "3 1 4 1 5 9"):
        assert text.encode() not in sent
        assert not [name for name, process in traced.processes.items() if text in process.log.read_text()]


def test_without_a_collector_opentelemetry_is_not_imported(tmp_path: Path):
    program = (
        "import sys, rapl_gateway.app, rapl_gateway.settings\n"
        "rapl_gateway.app.create_app(rapl_gateway.settings.Settings())\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry.sdk')])"
    )

    ended = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ended.stdout.strip() == "[]", ended.stderr
