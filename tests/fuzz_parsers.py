"""Fuzzes RAPL's own parsers, guided by coverage, with Atheris (libFuzzer for Python).

    python tests/fuzz_parsers.py form -max_total_time=600
    python tests/fuzz_parsers.py frames -runs=100000 -seed=1

Media formats are parsed by FFmpeg's libraries, which OSS-Fuzz tests continuously; `fuzz_media.py` sends mutated files
to running services. A parser may reject input with the errors that its docstring names. Any other exception ends the
run with a non-zero exit code, and the input is written to a file `crash-...`.

Source of the arguments: https://llvm.org/docs/LibFuzzer.html
"""

import asyncio
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import atheris

with atheris.instrument_imports(include=["rapl_gateway", "rapl_protocol", "python_multipart"]):
    from pydantic_core import from_json
    from rapl_gateway.api import json_body, upload
    from rapl_gateway.api.form.transcription_form import TranscriptionForm
    from rapl_gateway.api.subtitles.cues import ruled_cues
    from rapl_gateway.api.subtitles.formats import to_vtt
    from rapl_gateway.api.subtitles.rules import SubtitleRules
    from rapl_gateway.backends import openai_answers
    from rapl_gateway.timing import Stopwatch
    from rapl_protocol.audio import WavAudio
    from rapl_protocol.errors import ServiceError
    from rapl_protocol.frames import decode_frames, decode_single_frame, encode_frame
    from rapl_service.http.upload import Upload, UploadStorage
    from starlette.datastructures import Headers

BOUNDARY = b"limit"


@dataclass(frozen=True, slots=True)
class Target:
    """A function that parses bytes, and valid inputs to start from."""

    read: Callable[[bytes], None]
    seeds: Sequence[bytes]
    words: Sequence[str]
    """Tokens that random mutations are unlikely to find."""


def read_wav(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        audio = WavAudio.from_wav(data)
        assert WavAudio.from_wav(audio.to_wav()).pcm == audio.pcm


def read_frames(data: bytes) -> None:
    async def pieces(size: int) -> Any:
        for start in range(0, len(data), size):
            yield data[start : start + size]

    async def decoded(size: int) -> None:
        with contextlib.suppress(ValueError):
            async for _ in decode_frames(pieces(size)):
                pass

    _run(decoded(7))
    with contextlib.suppress(ValueError):
        decode_single_frame(data)


def read_form(data: bytes) -> None:
    """Input: a line with the content type, then the body."""
    content_type, _, body = data.partition(b"\n")

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    if content_type.lower().startswith(b"application/json"):
        return  # it is parsed in a thread; `read_json` parses it here
    json_turn = asyncio.Lock()

    async def parsed() -> None:
        request: Any = SimpleNamespace(headers=Headers(raw=[(b"content-type", content_type)]), receive=receive)
        with contextlib.suppress(ServiceError):
            form = await upload.received_form(request, 1 << 20, UploadStorage(), Stopwatch(), json_turn)
            with contextlib.closing(form):
                for translate in (False, True):
                    TranscriptionForm.parse(form, "on", translate=translate).options("model")

    _run(parsed())


def read_json(data: bytes) -> None:
    form = upload.Form(files={"file": Upload(1 << 20)})
    with contextlib.suppress(ServiceError):
        form.files["file"].add(json_body.parse_json(data, form.fields))
        TranscriptionForm.parse(form, "on")


def read_answer(data: bytes) -> None:
    """Input: the answer of an OpenAI-compatible server."""
    with contextlib.suppress(ValueError):
        transcript = openai_answers.transcript_of(from_json(data), 30.0)
        assert transcript.model_dump_json().encode()
        cues = ruled_cues(transcript.segments, SubtitleRules(), 30.0)
        assert to_vtt(cues).encode().startswith(b"WEBVTT")


def _run(coroutine: Any) -> None:
    """Runs a coroutine that never waits. An event loop for each input would take most of the time."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("the coroutine waits")


def _form(**fields: str) -> bytes:
    parts = [f'form-data; name="{name}"\r\n\r\n{value}'.encode() for name, value in fields.items()]
    parts.append(b'form-data; name="file"; filename="a.wav"\r\ncontent-type: audio/wav\r\n\r\nRIFF')
    body = b"".join(b"--" + BOUNDARY + b"\r\ncontent-disposition: " + part + b"\r\n" for part in parts)
    return b"multipart/form-data; boundary=" + BOUNDARY + b"\n" + body + b"--" + BOUNDARY + b"--\r\n"


FIELDS = {
    "model": "whisper-1",
    "language": "en",
    "prompt": "a, b",
    "response_format": "verbose_json",
    "temperature": "0.2",
    "timestamp_granularities[]": "word",
    "stream": "true",
    "chunking_strategy": '{"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 200}',
}
OTHER_FIELDS = {"chunking_strategy[type]": "server_vad", "languages[]": "de", "keywords": "a, b"}
ANSWER = (
    b'{"text": "a", "language": "english", "segments": [{"start": 0, "end": 1.5, "text": "a"}], '
    b'"words": [{"word": "a", "start": 0.1, "end": 1}], "languages": [{"code": "en"}]}'
)
JSON = b'{"model": "a", "input_audio": {"data": "UklGRg==", "format": "wav"}, "temperature": 0, "languages": ["de"]}'
TARGETS = {
    "wav": Target(read_wav, [WavAudio(bytes(64)).to_wav()], ["RIFF", "WAVE", "fmt ", "data", "LIST"]),
    "frames": Target(
        read_frames, [encode_frame({"model": "m"}, b"RIFF") + encode_frame({"type": "end"})], ["payload_bytes", "type"]
    ),
    "form": Target(
        read_form,
        [_form(**FIELDS), _form(**OTHER_FIELDS)],
        [*FIELDS, *OTHER_FIELDS, "include[]", "known_speaker_names[]", "content-disposition", "filename", "1e999"],
    ),
    "json": Target(read_json, [JSON], [*FIELDS, *OTHER_FIELDS, "input_audio", "data:;base64,", "null", "1e999"]),
    "answer": Target(read_answer, [ANSWER], ["segments", "words", "languages", "start", "end", "NaN", "1e999"]),
}  # fmt: skip


def main() -> int:
    """Runs libFuzzer in a process of its own, which it may end at any time, with the seeds in a temporary folder."""
    target = TARGETS[sys.argv[1]]
    with tempfile.TemporaryDirectory() as folder:
        corpus, words = Path(folder, "corpus"), Path(folder, "words")
        corpus.mkdir()
        for number, seed in enumerate(target.seeds):
            (corpus / str(number)).write_bytes(seed)
        words.write_text("".join(f'"{word}"\n' for word in target.words))
        command = [sys.executable, __file__, f"--inside={sys.argv[1]}", f"-dict={words}", *sys.argv[2:], str(corpus)]
        return subprocess.run(command).returncode


def fuzz(name: str, arguments: Sequence[str]) -> None:
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name].read)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1].startswith("--inside="):
        fuzz(sys.argv[1].partition("=")[2], sys.argv[2:])
    sys.exit(main())
