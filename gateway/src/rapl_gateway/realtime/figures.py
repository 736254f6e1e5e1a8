"""What is measured of realtime sessions and of their turns: for the metrics, a turn's log line and its span."""

import logging
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

from rapl_protocol.audio import BYTES_PER_SECOND
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_service.log import TurnFields
from rapl_service.telemetry import catalog
from rapl_service.telemetry.catalog import OTHER
from rapl_service.telemetry.context import LINE_IDS
from rapl_service.telemetry.metrics import Metrics
from rapl_service.telemetry.tracing import CURRENT_SPAN, describe

from rapl_gateway.metrics import TranscriptionMetrics
from rapl_gateway.timing import Stage, Stopwatch
from rapl_gateway.transcription.result import REASON_NAMES

COMPLETED, DROPPED = "completed", "dropped"
"""How a turn ends, besides the code of an error."""

log = logging.getLogger("rapl")


class PassOutcome(StrEnum):
    """What became of a pass over an open turn. `rapl_service.telemetry.catalog` has the meanings."""

    TEXT = "text"
    NO_SPEECH = "no_speech"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


class RealtimeMetrics:
    """The metrics of all sessions and turns. `rapl_service.telemetry.catalog` defines them."""

    def __init__(self, metrics: Metrics, results: TranscriptionMetrics) -> None:
        self.results = results
        """Counts what the final passes report, as for files."""
        self.models = metrics.models
        self.session_ends = metrics.counts(catalog.REALTIME_SESSION_ENDS)
        self.turns = metrics.counts(catalog.REALTIME_TURNS)
        self.audio_s = metrics.counts(catalog.REALTIME_AUDIO)
        self.final_s = metrics.observations(catalog.REALTIME_FINAL_SECONDS)
        self.stage_s = metrics.observations(catalog.REALTIME_STAGE_SECONDS)
        self.lag_s = metrics.observations(catalog.REALTIME_LAG_SECONDS)
        self.passes = metrics.counts(catalog.REALTIME_PASSES)
        self.settled = metrics.counts(catalog.REALTIME_SETTLED)
        self.disagreed = metrics.counts(catalog.REALTIME_DISAGREED)


class TurnFigures:
    """The figures of one turn.

    Args:
        turn: the id of its item.
        metrics: counts it too; None: it is only logged.
    """

    def __init__(self, turn: str = "", metrics: RealtimeMetrics | None = None) -> None:
        self.model: str | None = None
        """The public id of its model; None as long as it is not known."""
        self.outcome = DROPPED
        """COMPLETED, DROPPED, or the code of the error with which the turn failed."""
        self.audio_bytes = 0
        self.stopwatch = Stopwatch()
        """Measures the stages of its passes."""
        self._turn = turn
        self._metrics = metrics
        self._passes: Counter[PassOutcome] = Counter()
        self._longest_lag_s = 0.0
        self._settled = self._disagreed = 0
        self._before_commit_s: dict[Stage, float] | None = None
        self._final_s: dict[Stage, float] = {}
        """Seconds of each stage from the commit to the text."""

    @contextmanager
    def recorded(self) -> Generator[None]:
        """The context in which the turn runs, inside its span. At the end it is logged and counted."""
        self.stopwatch.span = CURRENT_SPAN.get()  # the stages are parts of the turn's span
        try:
            yield
        except ServiceError as error:
            self.outcome = error.code.value
            raise
        except Exception:
            self.outcome = ErrorCode.INTERNAL.value
            raise
        finally:
            self._record()

    def count_pass(self, outcome: PassOutcome, count: int = 1) -> None:
        self._passes[outcome] += count
        if self._metrics and count:
            self._metrics.passes.add(outcome, by=count)

    def add_lag(self, lag_s: float) -> None:
        """A pass has its text. `lag_s`: seconds of audio since the oldest sound that no earlier pass had."""
        self._longest_lag_s = max(self._longest_lag_s, lag_s)
        if self._metrics:
            self._metrics.lag_s.add(lag_s)

    def commit(self) -> None:
        """From now on the client waits for the text."""
        if self._before_commit_s is None:
            self._before_commit_s = self.stopwatch.stages_s()

    def complete(
        self, settled: int, disagreed: int, coverage: float | None, retried: Sequence[str], problems: Sequence[str]
    ) -> None:
        """The turn has its text. The arguments are as in `TurnCompleted`; of the problems, the reasons."""
        self.outcome, self._settled, self._disagreed = COMPLETED, settled, disagreed
        before_s = self._before_commit_s or {}
        spent_s = {stage: took_s - before_s.get(stage, 0.0) for stage, took_s in self.stopwatch.stages_s().items()}
        self._final_s = {stage: took_s for stage, took_s in spent_s.items() if took_s}
        if self._metrics and self.audio_bytes:
            names = [[REASON_NAMES[each] for each in reasons] for reasons in (retried, problems)]
            self._metrics.results.observe_result(coverage, names[0], names[1], damaged_s=0.0)

    def _record(self) -> None:
        audio_s, final_s = self.audio_bytes / BYTES_PER_SECOND, sum(self._final_s.values())
        self._count(audio_s, final_s)
        model: dict[str, Any] = {"model": self.model} if self.model else {}
        fields = model | {"outcome": self.outcome, "audio_s": audio_s}
        if self._final_s:
            fields |= {"final_s": final_s, **{f"{stage}_s": took_s for stage, took_s in self._final_s.items()}}
        fields |= {"passes": self._passes[PassOutcome.TEXT], "skipped": self._passes[PassOutcome.SKIPPED]}
        fields |= {"longest_lag_s": self._longest_lag_s, "settled": self._settled, "disagreed": self._disagreed}
        describe(**fields)
        log.info("%s", TurnFields({**LINE_IDS.get(), "turn": self._turn, **fields}))

    def _count(self, audio_s: float, final_s: float) -> None:
        if not self._metrics:
            return
        model = self._metrics.models.label(self.model) or OTHER
        self._metrics.turns.add(model, self.outcome)
        self._metrics.audio_s.add(model, by=audio_s)
        self._metrics.settled.add(by=self._settled)
        self._metrics.disagreed.add(by=self._disagreed)
        if self._final_s:
            self._metrics.final_s.add(final_s)
        for stage, took_s in self._final_s.items():
            self._metrics.stage_s.add(took_s, stage)
