"""The groups of measurements, by name. A group's module is imported only when it is asked for."""

import importlib
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from rapl_bench.reporting.results import BenchSettings, Table

GROUPS = {
    "gateway": "the gateway's own time and throughput, in front of a stub engine",
    "replicas": "what a second replica of an engine is worth, a stub of fixed time",
    "preprocess": "preprocess-service against a spawned ffmpeg and against bare libav",
    "long": "an hour of audio and ten: time, first words, memory, and whether all of it is there",
    "fairness": "short clips while a long recording is transcribed",
    "sensevoice": "SenseVoice's runtimes at the real model's dimensions, and a dictation through the whole fleet",
}
Measurement = Callable[[BenchSettings], Coroutine[Any, Any, Sequence[Table]]]


class GroupUnavailable(Exception):
    """A group is named but cannot be run here; the message says why."""


def measurement(group: str) -> Measurement:
    """The `measure` of the group's module.

    Raises:
        GroupUnavailable: it has none.
    """
    name = f"rapl_bench.groups.{group}"
    try:
        return importlib.import_module(name).measure
    except ModuleNotFoundError as error:
        raise GroupUnavailable(f"group {group!r} cannot be run: the module {error.name} is missing") from error
