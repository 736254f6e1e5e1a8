"""The groups of measurements by name. A group's module is imported when it is measured."""

import importlib
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from rapl_bench.reporting.results import BenchSettings, Table

GROUPS = {
    "gateway": "the gateway's own latency and throughput, in front of a stub engine",
    "telemetry": "what metrics and traces cost the gateway and preprocess-service",
    "replicas": "mixed load with one, two and four replicas and two gateways, measured and simulated",
    "scaling": "CPU time of a gateway; more replicas and an autoscaler, simulated",
    "advised": "a quarter of an hour of changing load, with replicas as the simulator advises",
    "preprocess": "preprocess-service, a spawned ffmpeg and plain libav",
    "long": "recordings of an hour and ten hours: time, first words, memory, completeness",
    "fairness": "short clips while a long recording is transcribed",
    "sensevoice": "SenseVoice's runtimes at the real model's size, and dictation through all services",
    "keywords": "keywords with SenseVoice: recall, false insertions and cost, beside FunASR's correction of the text",
    "realtime": "words while a person speaks, beside a whole upload and WhisperLiveKit",
    "speakers": "who speaks when: error rates on conversations whose speakers are known",
    "real": "people's speech and published weights: words that are wrong, beside mlx-audio and faster-whisper",
}
Measurement = Callable[[BenchSettings], Coroutine[Any, Any, Sequence[Table]]]


class GroupUnavailable(Exception):
    """The group cannot run here; the message has the reason."""


def measurement(group: str) -> Measurement:
    """The `measure` of the group's module.

    Raises:
        GroupUnavailable: a module is missing.
    """
    name = f"rapl_bench.groups.{group}"
    try:
        return importlib.import_module(name).measure
    except ModuleNotFoundError as error:
        raise GroupUnavailable(f"group {group!r} cannot be run: the module {error.name} is missing") from error
