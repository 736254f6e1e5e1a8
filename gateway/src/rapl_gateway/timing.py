"""Measures how long each stage of a request takes, for the response's `Server-Timing` header and the log."""

import time

from rapl_service.http.scope import RESPONSE_START
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Stopwatch:
    """Adds up the time of named stages, and measures the total time since its creation."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self.stages_s: dict[str, float] = {}

    def stage(self, name: str) -> "Stage":
        return Stage(self.stages_s, name)

    def total_s(self) -> float:
        return time.perf_counter() - self._began

    def log_fields(self) -> dict[str, float]:
        return {f"{name}_s": took_s for name, took_s in self.stages_s.items()}


class Stage:
    """Context manager that adds its time to a stage."""

    __slots__ = ("_began", "_name", "_stages_s")

    def __init__(self, stages_s: dict[str, float], name: str) -> None:
        self._stages_s = stages_s
        self._name = name

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._stages_s[self._name] = self._stages_s.get(self._name, 0.0) + time.perf_counter() - self._began


class ServerTiming:
    """ASGI middleware: gives each request a stopwatch and writes its times into the response's headers.

    Source: https://www.w3.org/TR/server-timing/. `openai-processing-ms` is OpenAI's header for the total time.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["rapl_stopwatch"] = stopwatch = Stopwatch()

        async def send_timed(message: Message) -> None:
            if message["type"] in RESPONSE_START:
                message["headers"] = [*message["headers"], *_headers(stopwatch)]
            await send(message)

        await self._app(scope, receive, send_timed)


def stopwatch_of(request: Request) -> Stopwatch:
    return request.scope["rapl_stopwatch"]


def _headers(stopwatch: Stopwatch) -> list[tuple[bytes, bytes]]:
    total_s = stopwatch.total_s()
    stages = {**stopwatch.stages_s, "total": total_s}
    timing = ", ".join([f"{name};dur={took_s * 1000:.2f}" for name, took_s in stages.items()])
    return [(b"server-timing", timing.encode()), (b"openai-processing-ms", b"%d" % round(total_s * 1000))]
