"""Whisper with CTranslate2: the same weights as in mlx-service, several times as fast on a CPU. For many segments.

As a script, in the environment `.rapl/real`, it reads lines of JSON with `model` (a folder), `file` (a WAV), `language`
and `words`, and answers each with a line `answer ` and the segments as JSON.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MODELS: dict[str, Any] = {}
DECODING = ("tokens", "temperature", "avg_logprob", "compression_ratio", "no_speech_prob")


class CTranslate2Engine:
    """Transcribes as mlx-service does, greedily, in a process of its own.

    Args:
        python: an interpreter with faster-whisper.
        folders: the models' folders by id.
    """

    def __init__(self, python: str, folders: Mapping[str, Path]) -> None:
        self._folders = folders
        self._lock = asyncio.Lock()
        self._process = subprocess.Popen(
            [python, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    async def transcribe(self, wav: bytes, model: str, language: str | None, words: bool) -> bytes:
        """Returns the segments as JSON, with the detected language and the duration in seconds."""
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            file.write(wav)
            file.flush()
            request = {
                "model": str(self._folders[model]), "file": file.name, "language": language, "words": words,
            }  # fmt: skip
            async with self._lock:
                return await asyncio.to_thread(self._answer, json.dumps(request))

    def _answer(self, request: str) -> bytes:
        assert self._process.stdin
        assert self._process.stdout
        print(request, file=self._process.stdin, flush=True)
        for line in self._process.stdout:
            if line.startswith("answer "):
                return line.removeprefix("answer ").encode()
        raise RuntimeError("the CTranslate2 engine exited")

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


def segments_of(model: str, file: str, language: str | None, words: bool) -> dict[str, Any]:
    from faster_whisper import WhisperModel

    if model not in MODELS:
        MODELS[model] = WhisperModel(model, device="cpu", compute_type="float32", cpu_threads=1)
    found, info = MODELS[model].transcribe(file, language=language, beam_size=1, best_of=1, word_timestamps=words)
    segments = [
        {
            "start_s": each.start,
            "end_s": each.end,
            "text": each.text,
            "decoding": {name: getattr(each, name) for name in DECODING},
            "words": [{"word": w.word.strip(), "start_s": w.start, "end_s": w.end} for w in each.words or ()] or None,
        }
        for each in found
    ]
    return {"language": info.language, "duration_s": info.duration, "segments": segments}


def main() -> None:
    for line in sys.stdin:
        print("answer", json.dumps(segments_of(**json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
