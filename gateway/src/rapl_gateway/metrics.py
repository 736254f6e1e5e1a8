"""What the gateway measures of each transcription. `rapl_service.telemetry.catalog` defines the metrics."""

from collections.abc import Iterable, Mapping
from typing import Any

from rapl_service.telemetry import catalog
from rapl_service.telemetry.metrics import Metrics


class TranscriptionMetrics:
    def __init__(self, metrics: Metrics) -> None:
        self._models = metrics.models
        self._stage_s = metrics.observations(catalog.STAGE_SECONDS)
        self._real_time_factor = metrics.observations(catalog.REAL_TIME_FACTOR)
        self._coverage = metrics.observations(catalog.COVERAGE)
        self._retried = metrics.counts(catalog.RETRIED)
        self._problems = metrics.counts(catalog.PROBLEMS)
        self._damaged_s = metrics.counts(catalog.DAMAGED_SECONDS)

    def observe_stages(self, stages_s: Mapping[str, float], fields: Mapping[str, Any]) -> None:
        """Counts the times of a request that has ended.

        Args:
            stages_s: seconds of each stage.
            fields: the fields of its log line. `model`, `error` and `audio_s` are used.
        """
        for stage, took_s in stages_s.items():
            self._stage_s.add(took_s, stage)
        audio_s = fields.get("audio_s")
        if audio_s and "error" not in fields:
            work_s = sum(stages_s.values()) - stages_s.get("receive", 0.0) - stages_s.get("send", 0.0)
            self._real_time_factor.add(work_s / audio_s, self._models.label(fields.get("model")))

    def observe_result(
        self, coverage: float | None, retried: Iterable[str], problems: Iterable[str], damaged_s: float
    ) -> None:
        """Counts what a complete transcription reports about itself.

        Args:
            coverage: share of the detected speech that has text; None without speech detection.
            retried: the reason of each place that was transcribed again.
            problems: the reason of each place that is still in doubt or could not be read.
            damaged_s: seconds of audio that could not be read.
        """
        if coverage is not None:
            self._coverage.add(coverage)
        for reason in retried:
            self._retried.add(reason)
        for reason in problems:
            self._problems.add(reason)
        if damaged_s:
            self._damaged_s.add(by=damaged_s)
