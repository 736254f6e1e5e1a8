"""Every metric of every service: its name, its labels and what it counts. `docs/metrics.md` is made from this module.

Names follow Prometheus's conventions. Source: https://prometheus.io/docs/practices/naming/.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]
Service = Literal["gateway", "preprocess-service", "engines"]

_TIMES_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
_ALL: tuple[Service, ...] = ("gateway", "preprocess-service", "engines")
MAX_MODELS = 100
"""Most models that get a label of their own in one process, so that clients cannot fill the memory of Prometheus."""
OTHER = "other"
"""The label of all other models."""

LABELS = {
    "route": "The template of the route, such as `/v1/models/{model}`, never the path; `unknown` if no route has it.",
    "model": "The model's public id if the service knows it, and `other` if not; empty if the request names none."
    f" A process has labels for at most {MAX_MODELS} models; the models after that are `other`.",
    "status": "The HTTP status; 101 for a WebSocket, 0 if the client left before the response.",
    "code": "The error's code, one of the table in `docs/openai.md`; empty without an error.",
    "stage": "`receive`, `prepare`, `queue`, `infer`, `speakers`, `render`, `send` or `gateway`.",
    "outcome": "Of turns: `completed`, the code of the error with which the turn failed, or `dropped` if nothing was "
    "expected of it any more: the client cleared it or left, or it was shorter than 100 ms. Of passes: `text`, "
    "`no_speech`, `failed`, `cancelled` (the turn ended first), or `skipped`: the passes that a turn left out because "
    "others need the engine too.",
    "ended_by": "`client`: it left, its connection was lost, or its message was too long. `idle`, `too_long`, "
    "`shutdown`, `too_many_errors`, `slow_client` (it does not read its events), `no_detection` (preprocess-service "
    "was lost), `internal`: the server closed it.",
    "waits_for": "`detection`: audio that is not yet sent to preprocess-service. `text`: audio in committed turns "
    "without a text.",
    "backend": "A backend of `rapl.toml`, `preprocess-service` or `speaker-service`.",
    "state": "Of replicas: `reachable`, `unreachable`. Of decoders: `idle`, `busy`. Of models: `absent`,"
    " `downloading`, `loading`, `ready`, `failed`.",
    "reason": "Why a text is in doubt, such as `no_text`, `loop` or `truncated`, or what is wrong with the file: "
    "`undecodable`, `cut_off`.",
    "kind": "`other_model`: a model that `rapl.toml` declares as fallback. `no_speech_check`: a clip without a speech "
    "check. `cut_by_gateway`: a WAV that the gateway cut itself.",
}
"""The meaning of each label, and its values. Every label has a bounded number of values."""


@dataclass(frozen=True, slots=True)
class MetricSpec:
    name: str
    """As it is exposed; a counter's ends with `_total`."""
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets."""
    services: tuple[Service, ...] = ("gateway",)


REQUESTS = MetricSpec(
    "rapl_requests_total", "counter", "Requests that have ended.", ("route", "model", "status", "code"), services=_ALL
)
REQUEST_SECONDS = MetricSpec(
    "rapl_request_seconds", "histogram", "Time from a request's headers to the end of its response.", ("route",),
    _TIMES_S, _ALL,
)  # fmt: skip
REQUESTS_IN_PROGRESS = MetricSpec("rapl_requests_in_progress", "gauge", "Requests in progress.", services=_ALL)
AUDIO_SECONDS = MetricSpec(
    "rapl_audio_seconds_total", "counter", "Seconds of audio in requests without an error.", ("model",), services=_ALL
)

STAGE_SECONDS = MetricSpec(
    "rapl_stage_seconds", "histogram", "Time of each stage of a transcription. The stages add up to the whole time.",
    ("stage",), _TIMES_S,
)  # fmt: skip
REAL_TIME_FACTOR = MetricSpec(
    "rapl_real_time_factor", "histogram",
    "Time of a transcription, without receiving the file and sending the response, divided by its audio's duration.",
    ("model",), (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0),
)  # fmt: skip
COVERAGE = MetricSpec(
    "rapl_coverage", "histogram", "Share of the detected speech that has text, of each transcription.", (),
    (0.5, 0.8, 0.9, 0.95, 0.99, 0.9999, 1.0),
)  # fmt: skip
RETRIED = MetricSpec(
    "rapl_retried_places_total", "counter", "Places whose first text was in doubt; they were transcribed again.",
    ("reason",),
)  # fmt: skip
PROBLEMS = MetricSpec(
    "rapl_problems_total", "counter", "Places that are still in doubt or could not be read, as in `problems`.",
    ("reason",),
)  # fmt: skip
DAMAGED_SECONDS = MetricSpec(
    "rapl_damaged_audio_seconds_total", "counter", "Seconds of audio that could not be read."
)  # fmt: skip
QUEUE_AUDIO = MetricSpec(
    "rapl_queue_audio_seconds", "gauge",
    "Seconds of audio that a backend has accepted and not finished. Scale by this, as in docs/scaling.md.",
    ("backend",),
)  # fmt: skip
QUEUE_SEGMENTS = MetricSpec(
    "rapl_queue_segments", "gauge", "Segments that wait for a place at an engine.", ("backend",)
)
QUEUE_LIMIT = MetricSpec(
    "rapl_queue_limit_audio_seconds", "gauge", "Seconds of audio from which requests get 429.", ("backend",)
)
THROUGHPUT = MetricSpec(
    "rapl_backend_throughput", "gauge",
    "Seconds of audio that a backend's reachable replicas transcribe in one second if all of them work; missing before "
    "the first measurement.",
    ("backend",),
)  # fmt: skip
BACKEND_AUDIO = MetricSpec(
    "rapl_backend_audio_seconds_total", "counter", "Seconds of audio that a backend has transcribed.", ("backend",)
)
BACKEND_FAILURES = MetricSpec(
    "rapl_backend_failures_total", "counter", "Calls to a service that failed, also those that were sent again.",
    ("backend", "code"),
)  # fmt: skip
RETRIES = MetricSpec(
    "rapl_retries_total", "counter", "Calls that were sent again after a failure.", ("backend", "code")
)
SLOTS = MetricSpec(
    "rapl_backend_slots", "gauge", "Segments that all reachable replicas together work on at once.", ("backend",)
)
REPLICAS = MetricSpec("rapl_replicas", "gauge", "Replicas in this state.", ("backend", "state"))
FALLBACKS = MetricSpec("rapl_fallbacks_total", "counter", "Fallbacks after a service failed.", ("kind",))
STORED_UPLOADS = MetricSpec("rapl_stored_upload_bytes", "gauge", "Bytes of uploads in temporary files.")

REALTIME_SESSIONS = MetricSpec("rapl_realtime_sessions", "gauge", "Realtime sessions that are open.")
REALTIME_SESSION_ENDS = MetricSpec(
    "rapl_realtime_session_ends_total", "counter", "Realtime sessions that have ended, by what ended them.",
    ("ended_by",),
)  # fmt: skip
REALTIME_TURNS = MetricSpec(
    "rapl_realtime_turns_total", "counter", "Turns that have ended.", ("model", "outcome")
)  # fmt: skip
REALTIME_AUDIO = MetricSpec(
    "rapl_realtime_audio_seconds_total", "counter", "Seconds of audio in turns that have ended.", ("model",)
)
REALTIME_FINAL_SECONDS = MetricSpec(
    "rapl_realtime_final_seconds", "histogram", "Time from the commit of a turn to its whole text.", (), _TIMES_S
)
REALTIME_STAGE_SECONDS = MetricSpec(
    "rapl_realtime_stage_seconds", "histogram",
    "The same time, by stage. The stages add up to it. Waiting for a model that is being loaded is `queue`.",
    ("stage",), _TIMES_S,
)  # fmt: skip
REALTIME_LAG_SECONDS = MetricSpec(
    "rapl_realtime_lag_seconds", "histogram",
    "How far the text of an open turn is behind its audio: when a pass has its text, the seconds of audio since the "
    "oldest sound that no earlier pass had.", (), (0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0),
)  # fmt: skip
REALTIME_PASSES = MetricSpec("rapl_realtime_passes_total", "counter", "Passes over open turns.", ("outcome",))
REALTIME_SETTLED = MetricSpec(
    "rapl_realtime_settled_words_total", "counter",
    "Words that were sent before their turn was committed, of completed turns; in scripts without spaces, characters.",
)  # fmt: skip
REALTIME_DISAGREED = MetricSpec(
    "rapl_realtime_disagreed_words_total", "counter", "How many of them the final pass has otherwise."
)
REALTIME_WAITING = MetricSpec(
    "rapl_realtime_waiting_audio_bytes", "gauge", "Bytes of audio of realtime sessions that wait.", ("waits_for",)
)

MODEL_STATE = MetricSpec(
    "rapl_model_state", "gauge", "1 for the state of the model, 0 for the other states.", ("model", "state"),
    services=("engines",),
)  # fmt: skip
MODEL_LOAD_SECONDS = MetricSpec(
    "rapl_model_load_seconds", "gauge", "How long the model took to load the last time.", ("model",),
    services=("engines",),
)  # fmt: skip
MODEL_DOWNLOADED = MetricSpec(
    "rapl_model_downloaded_bytes", "gauge", "Bytes of the model that are on disk, during a download.", ("model",),
    services=("engines",),
)  # fmt: skip
MODEL_SIZE = MetricSpec(
    "rapl_model_download_bytes", "gauge", "Bytes of the whole download, during a download.", ("model",),
    services=("engines",),
)  # fmt: skip
MODEL_MEMORY = MetricSpec(
    "rapl_model_memory_bytes", "gauge", "Memory of the model's own process, in mlx-service.", ("model",),
    services=("engines",),
)  # fmt: skip
MODEL_PROCESS_ENDS = MetricSpec(
    "rapl_model_process_ends_total", "counter", "How often the model's own process ended by itself, in mlx-service.",
    ("model",), services=("engines",),
)  # fmt: skip

DECODERS = MetricSpec(
    "rapl_decoders", "gauge", "Decoding processes in this state.", ("state",), services=("preprocess-service",)
)
DECODER_WAITING = MetricSpec(
    "rapl_decoder_waiting_files", "gauge", "Files that wait for a decoding process.", services=("preprocess-service",)
)
DECODER_DEATHS = MetricSpec(
    "rapl_decoder_deaths_total", "counter", "Decoding processes that ended before the end of their file.",
    services=("preprocess-service",),
)  # fmt: skip
LIVE_SESSIONS = MetricSpec(
    "rapl_live_sessions", "gauge", "Sessions of live audio, one for each realtime session.",
    services=("preprocess-service",),
)  # fmt: skip
LIVE_WAITING = MetricSpec(
    "rapl_live_waiting_audio_bytes", "gauge", "Bytes of live audio that wait for the detection of turns.",
    services=("preprocess-service",),
)  # fmt: skip

METRICS = [spec for spec in list(globals().values()) if isinstance(spec, MetricSpec)]


def metrics_table() -> str:
    """The tables of `docs/metrics.md`, in Markdown."""
    lines = ["| Metric | Type | Labels | Service | Meaning |", "|---|---|---|---|---|"]
    for spec in METRICS:
        labels = ", ".join(f"`{label}`" for label in spec.labels)
        services = "all" if spec.services == _ALL else ", ".join(spec.services)
        lines.append(f"| `{spec.name}` | {spec.kind} | {labels} | {services} | {spec.meaning} |")
    lines += ["", "| Label | Values |", "|---|---|", *(f"| `{label}` | {LABELS[label]} |" for label in LABELS)]
    return "\n".join(lines)


if __name__ == "__main__":
    print(metrics_table())  # noqa: T201
