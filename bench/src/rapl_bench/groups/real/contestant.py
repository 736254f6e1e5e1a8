"""A speech-to-text library with its defaults, in its own environment: python contestant.py mlx-audio|faster-whisper

Reads lines of JSON, {"model": folder, "file": path of a WAV}, and answers each with a line `answer ` and JSON:
{"text": ..., "took_s": ...}. A model is loaded before its first file, outside the time.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

Transcribe = Callable[[str], str]
"""From a path to a text."""


@cache
def mlx_audio(folder: str) -> Transcribe:
    from mlx_audio.stt import load

    model = load(Path(folder), strict=True)
    return lambda file: model.generate(file, verbose=None).text  # verbose=False shows a progress bar


@cache
def faster_whisper(folder: str) -> Transcribe:
    from faster_whisper import WhisperModel

    model = WhisperModel(folder, device="cpu", compute_type="float32")
    return lambda file: "".join(segment.text for segment in model.transcribe(file)[0])


def main() -> None:
    load = {"mlx-audio": mlx_audio, "faster-whisper": faster_whisper}[sys.argv[1]]
    print("answer {}", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        transcribe = load(request["model"])
        began = time.perf_counter()
        text = transcribe(request["file"])
        print("answer", json.dumps({"text": text, "took_s": time.perf_counter() - began}), flush=True)
    os._exit(0)  # mlx aborts if the interpreter ends in the usual way


if __name__ == "__main__":
    main()
