"""The contestants of the group `real`: each returns the text of a WAV file, and the time that it took."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import httpx

from rapl_bench.processes import ServerProcess
from rapl_bench.real.models import RealModel
from rapl_bench.script_process import ScriptProcess

_SCRIPT = Path(__file__).parent / "contestant.py"


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    took_s: float
    was_repeated: bool = False
    """Whether RAPL transcribed a part of it again, because the first text looked incomplete."""
    coverage: float | None = None
    """RAPL's own estimate: seconds of speech under text, divided by seconds of speech."""
    problems: int | None = None
    """How many parts RAPL still reports as doubtful."""


class Contestant(Protocol):
    def transcribe(self, model: RealModel, wav: Path) -> Answer: ...


class Library:
    """mlx-audio or faster-whisper in a process of its own. The context ends the process."""

    def __init__(self, name: str, python: str, environ: Mapping[str, str], log: Path) -> None:
        """Raises: ScriptError."""
        self._has_ctranslate2 = name == "faster-whisper"
        self._script = ScriptProcess([python, str(_SCRIPT), name], log, environ)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exit_details: object) -> None:
        self._script.__exit__(*exit_details)

    def transcribe(self, model: RealModel, wav: Path) -> Answer:
        """Raises: ScriptError."""
        folder = model.ctranslate2 if self._has_ctranslate2 else model.mlx
        return Answer(**self._script.call({"model": str(folder), "file": str(wav)}))


class Rapl:
    """All services. `log` is the gateway's."""

    def __init__(self, gateway: ServerProcess, log: Path) -> None:
        self._url = gateway.url
        self._log = log
        self._sent = 0

    def transcribe(self, model: RealModel, wav: Path) -> Answer:
        self._sent += 1
        request_id = f"real-{self._sent}"
        began = time.perf_counter()
        answer = httpx.post(
            f"{self._url}/v1/audio/transcriptions",
            data={"model": model.id, "response_format": "verbose_json"},
            files={"file": (wav.name, wav.read_bytes())},
            headers={"x-request-id": request_id},
            timeout=None,
        )
        took_s = time.perf_counter() - began
        answer.raise_for_status()
        body = answer.json()
        problems = len(body.get("problems") or ())
        return Answer(body["text"], took_s, self._was_repeated(request_id), body.get("coverage"), problems)

    def _was_repeated(self, request_id: str) -> bool:
        lines = self._log.read_text(errors="replace").splitlines()
        return any(f"request_id={request_id} " in line and "flag=" in line for line in lines)
