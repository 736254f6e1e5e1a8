"""How long each stage of a request took, for `Server-Timing` and the log."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Adds up named stages. Source of the header: https://www.w3.org/TR/server-timing/"""

    def __init__(self) -> None:
        self.stages_s: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.stages_s[name] = self.stages_s.get(name, 0.0) + time.perf_counter() - began

    def header(self) -> str:
        return ", ".join(f"{name};dur={took_s * 1000:.2f}" for name, took_s in self.stages_s.items())

    def log_fields(self) -> dict[str, str]:
        return {f"{name}_s": f"{took_s:.4f}" for name, took_s in self.stages_s.items()}

    def total_ms(self) -> str:
        return str(round(sum(self.stages_s.values()) * 1000))
