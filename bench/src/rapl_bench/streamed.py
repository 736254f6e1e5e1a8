"""Transcribes one long recording through the gateway as a stream."""

import io
import json
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from rapl_bench.recordings import SAMPLE_WORDS, Recording


class IncompleteAnswer(Exception):
    """The stream ended early or with an error."""


@dataclass(frozen=True, slots=True)
class Streamed:
    took_s: float
    """From the first byte of the request to the last byte of the answer."""
    first_words_s: float
    """From the end of the upload to the first delta."""
    text: str
    coverage: float | None
    problems: int


async def stream(gateway_url: str, recording: Recording, model: str) -> Streamed:
    """Raises: IncompleteAnswer."""
    began = time.perf_counter()
    first_at: float | None = None
    with _Upload(recording.file) as upload:
        async with aclosing(_events(gateway_url, upload, model)) as events:
            async for event in events:
                match event:
                    case {"type": "transcript.text.delta"}:
                        first_at = first_at or time.perf_counter()
                    case {"type": "transcript.text.done"}:
                        ended = time.perf_counter()
                        problems = len(event.get("problems") or ())
                        first_s = (first_at or ended) - upload.ended_at
                        return Streamed(ended - began, first_s, event["text"], event.get("coverage"), problems)
                    case {"error": _}:
                        raise IncompleteAnswer(f"the transcription failed: {event}")
    raise IncompleteAnswer("the stream ended before transcript.text.done")


def words_right(text: str, recording: Recording) -> float:
    """Returns the fraction of the recording's words that `text` contains in the right order: 0.0 to 1.0."""
    expected = list(SAMPLE_WORDS) * recording.utterances
    words = text.replace(".", " ").replace(",", " ").split()
    return _in_order(words, expected) / len(expected)


def _in_order(words: Sequence[str], expected: Sequence[str]) -> int:
    """Returns how many words of `expected` are found in order. The search continues after a missing or wrong word."""
    found = position = 0
    for word in expected:
        window = words[position : position + len(SAMPLE_WORDS)]
        if word in window:
            position += window.index(word) + 1
            found += 1
    return found


class _Upload(io.FileIO):
    """A file that records when it was last read."""

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self.ended_at = 0.0

    def read(self, size: int | None = -1, /) -> bytes:
        self.ended_at = time.perf_counter()
        return super().read(-1 if size is None else size) or b""


async def _events(gateway_url: str, upload: _Upload, model: str) -> AsyncGenerator[dict[str, Any], None]:
    fields = {"model": model, "stream": "true", "response_format": "verbose_json"}
    async with (
        httpx.AsyncClient(timeout=None) as http,
        http.stream(
            "POST", f"{gateway_url}/v1/audio/transcriptions", data=fields, files={"file": ("long.m4a", upload)}
        ) as answer,
    ):
        if answer.status_code != 200:
            raise IncompleteAnswer(f"answered with {answer.status_code}: {(await answer.aread())[:500]!r}")
        async for line in answer.aiter_lines():
            if line.startswith("data: {"):
                yield json.loads(line.removeprefix("data: "))
