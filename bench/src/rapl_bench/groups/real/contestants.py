"""The contestants of the group `real`: each returns the text of a WAV file, and the time that it took."""

import json
import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import httpx

from rapl_bench.processes import ServerProcess, log_tail
from rapl_bench.real.models import RealModel

_SCRIPT = Path(__file__).parent / "contestant.py"


class ContestantError(Exception):
    """A contestant exited before it answered; the message has the end of its output."""


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
        self._log = log
        self._has_ctranslate2 = name == "faster-whisper"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [python, str(_SCRIPT), name],
                env={**os.environ, **environ},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
            )
        self._answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(60)

    def transcribe(self, model: RealModel, wav: Path) -> Answer:
        """Raises: ContestantError."""
        folder = model.ctranslate2 if self._has_ctranslate2 else model.mlx
        assert self._process.stdin
        print(json.dumps({"model": str(folder), "file": str(wav)}), file=self._process.stdin, flush=True)
        return Answer(**self._answer())

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        for line in self._process.stdout:
            if line.startswith("answer "):
                return json.loads(line.removeprefix("answer "))
        raise ContestantError(f"a contestant exited:\n{log_tail(self._log)}")


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
