"""Measures how long each stage of a request takes, for the `Server-Timing` header, the log and the metrics."""

import time
from enum import StrEnum
from types import TracebackType

from rapl_service.http.scope import RESPONSE_START
from rapl_service.telemetry.tracing import CURRENT_SPAN
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rapl_gateway.metrics import TranscriptionMetrics


class Stage(StrEnum):
    """What a request is doing, in the order in which a request passes through the stages."""

    RECEIVE = "receive"
    """Its body arrives."""
    PREPARE = "prepare"
    """It waits for preprocess-service: for a decoded segment, or for the speech check of a clip."""
    QUEUE = "queue"
    """A segment waits for a place at an engine."""
    INFER = "infer"
    """An engine has a segment."""
    SPEAKERS = "speakers"
    """It waits for speaker-service."""
    RENDER = "render"
    """The response is made."""
    SEND = "send"
    """The response is sent."""
    GATEWAY = "gateway"
    """None of the others: the gateway's own work, such as reading the fields and checking the text."""


_BY_WEIGHT = (Stage.INFER, Stage.QUEUE, Stage.PREPARE, Stage.SPEAKERS, Stage.RECEIVE, Stage.RENDER, Stage.SEND)
"""If several stages are in progress, the time counts for the first of them. So the time in which an engine works for
the request is always `infer`, and `prepare` is only the time that the request would have saved with faster
preparation."""


class Stopwatch:
    """Divides time among the stages. Each moment counts for one stage, so the stages' times add up to the whole time.

    Args:
        began: when the time begins, by `time.perf_counter`; None: now.
    """

    def __init__(self, began: float | None = None) -> None:
        self._began = self._since = time.perf_counter() if began is None else began
        self._in_progress: dict[Stage, int] = dict.fromkeys(_BY_WEIGHT, 0)
        self._current = Stage.GATEWAY
        self._stages_s = dict.fromkeys(Stage, 0.0)
        self.span = CURRENT_SPAN.get()
        """The span of the request, in which each stage is a span; None if the request is not traced."""

    def stage(self, stage: Stage) -> "StageContext":
        """A context in which the stage is in progress. Several may be at the same time, also of the same stage."""
        return StageContext(self, stage)

    def count(self, stage: Stage, by: int) -> None:
        """Counts how often a stage is in progress: 1 when it begins, -1 when it ends."""
        self._pass_time()
        self._in_progress[stage] += by
        self._current = next((each for each, count in self._in_progress.items() if count), Stage.GATEWAY)

    def stages_s(self) -> dict[Stage, float]:
        """Returns the time of each stage until now, in seconds, without the stages that the request has not reached."""
        self._pass_time()
        return {stage: took_s for stage, took_s in self._stages_s.items() if took_s}

    def total_s(self) -> float:
        return time.perf_counter() - self._began

    def _pass_time(self) -> None:
        now = time.perf_counter()
        self._stages_s[self._current] += now - self._since
        self._since = now


class StageContext:
    __slots__ = ("_span", "_stage", "_stopwatch")

    def __init__(self, stopwatch: Stopwatch, stage: Stage) -> None:
        self._stopwatch = stopwatch
        self._stage = stage
        self._span = None if stopwatch.span is None else stopwatch.span.part(stage)

    def __enter__(self) -> None:
        self._stopwatch.count(self._stage, 1)
        if self._span:
            self._span.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopwatch.count(self._stage, -1)
        if self._span:
            self._span.__exit__(kind, error, traceback)


class ServerTiming:
    """ASGI middleware: gives each request a stopwatch. Its times are written into the response's headers and, when the
    response has been sent, into the request's log line and the metrics.

    Source: https://www.w3.org/TR/server-timing/. `openai-processing-ms` is OpenAI's header for the total time.
    """

    def __init__(self, app: ASGIApp, metrics: TranscriptionMetrics | None = None) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["rapl_stopwatch"] = stopwatch = Stopwatch(scope.get("rapl_began"))

        async def send_timed(message: Message) -> None:
            if message["type"] in RESPONSE_START:
                message["headers"] = [*message["headers"], *_headers(stopwatch)]
            await send(message)

        try:
            await self._app(scope, receive, send_timed)
        finally:
            stages_s = stopwatch.stages_s()
            if len(stages_s) > 1:  # requests without stages, such as a list of models, have only their whole time
                fields = scope["rapl_log"]
                fields.update({f"{stage}_s": took_s for stage, took_s in stages_s.items()})
                if self._metrics:
                    self._metrics.observe_stages({stage.value: took_s for stage, took_s in stages_s.items()}, fields)


def stopwatch_of(request: Request) -> Stopwatch:
    return request.scope["rapl_stopwatch"]


def _headers(stopwatch: Stopwatch) -> list[tuple[bytes, bytes]]:
    stages_s = stopwatch.stages_s()
    total_s = sum(stages_s.values())
    timing = ", ".join([f"{name};dur={took_s * 1000:.2f}" for name, took_s in [*stages_s.items(), ("total", total_s)]])
    return [(b"server-timing", timing.encode()), (b"openai-processing-ms", b"%d" % round(total_s * 1000))]
