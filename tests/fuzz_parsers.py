"""Fuzzes RAPL's own parsers, guided by coverage, with Atheris (libFuzzer for Python).

    python tests/fuzz_parsers.py form -max_total_time=600
    python tests/fuzz_parsers.py mp4 -runs=100000 -seed=1

Media formats are parsed by FFmpeg's libraries, which OSS-Fuzz tests continuously; `fuzz_media.py` sends mutated files
to running services. A parser may reject input with the errors that its docstring names. Any other exception ends the
run with a non-zero exit code, and the input is written to a file `crash-...`.

Source of the arguments: https://llvm.org/docs/LibFuzzer.html
"""

import contextlib
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import atheris
from media_boxes import box, full_box, mp4_track

with atheris.instrument_imports(include=["rapl_gateway", "rapl_preprocess", "rapl_protocol", "python_multipart"]):
    from pydantic_core import from_json
    from rapl_gateway.api import subtitles, upload
    from rapl_gateway.api.form import TranscriptionForm
    from rapl_gateway.backends import openai_answers
    from rapl_gateway.timing import Stopwatch
    from rapl_preprocess.media import long_mp4
    from rapl_preprocess.media.containers import MediaInMemory
    from rapl_protocol.audio import WavAudio
    from rapl_protocol.errors import ServiceError
    from rapl_protocol.frames import decode_frames, decode_single_frame, encode_frame

SAMPLES_READ = 10_000
"""Of one file: a table of a few bytes may say that it has four billion."""
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

    async def parsed() -> None:
        request: Any = SimpleNamespace(headers={"content-type": content_type.decode("latin-1")}, receive=receive)
        with contextlib.suppress(ServiceError):
            form = await upload.received_form(request, 1 << 20, Stopwatch())
            with contextlib.closing(form):
                for translate in (False, True):
                    TranscriptionForm.parse(form, "on", translate=translate).options("model")

    _run(parsed())


def read_answer(data: bytes) -> None:
    """Input: the answer of an OpenAI-compatible server."""
    with contextlib.suppress(ValueError):
        transcript = openai_answers.transcript_of(from_json(data), 30.0)
        assert transcript.model_dump_json().encode()
        assert subtitles.to_vtt(transcript.segments).encode().startswith(b"WEBVTT")


def read_mp4(data: bytes) -> None:
    found = long_mp4.long_mp4(MediaInMemory(data))
    if found:
        assert sum(1 for _ in islice(found.table.samples(), SAMPLES_READ)) >= min(found.head_packets, SAMPLES_READ)
        found.head.read(0, found.head.size)


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


def _mp4(*tables: bytes, clock_hz: int = 16_000, duration: int = 1_000) -> bytes:
    """A file that only has an index; its packets would lie at the start."""
    hdlr = full_box(b"hdlr", bytes(4), b"soun", bytes(13))
    mdhd = full_box(b"mdhd", struct.pack(">IIIII", 0, 0, clock_hz, duration, 0))
    mvhd = full_box(b"mvhd", struct.pack(">IIII", 0, 0, 1_000, duration), bytes(80))
    entry = box(b"mp4a", bytes(6), struct.pack(">H", 1), bytes(8), struct.pack(">HHHHI", 1, 16, 0, 0, 16_000 << 16))
    stsd = full_box(b"stsd", struct.pack(">I", 1), entry)
    elst = box(b"edts", full_box(b"elst", struct.pack(">IIiI", 1, duration, 64, 1 << 16)))
    minf = box(b"minf", box(b"stbl", stsd, *tables))
    trak = box(b"trak", elst, box(b"mdia", mdhd, hdlr, minf))
    return box(b"ftyp", b"M4A ", bytes(4)) + box(b"moov", mvhd, trak, mp4_track())


def _tables(sizes: Sequence[int], places: bytes) -> tuple[bytes, ...]:
    return (
        full_box(b"stts", struct.pack(">III", 1, len(sizes), 64)),
        full_box(b"stsc", struct.pack(">I6I", 2, 1, 2, 1, 2, len(sizes) - 2, 1)),
        full_box(b"stsz", struct.pack(">II", 0, len(sizes)), struct.pack(f">{len(sizes)}I", *sizes)),
        places,
    )


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
SIZES = (5, 9, 200, 7, 8, 1, 0, 3)
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
    "answer": Target(read_answer, [ANSWER], ["segments", "words", "languages", "start", "end", "NaN", "1e999"]),
    "mp4": Target(
        read_mp4,
        [
            _mp4(*_tables(SIZES, full_box(b"stco", struct.pack(">3I", 2, 0, 14)))),
            _mp4(*_tables(SIZES, full_box(b"co64", struct.pack(">I2Q", 2, 0, 14)))),
        ],
        ["moov", "trak", "mdia", "minf", "stbl", "stsz", "stsc", "stts", "stco", "co64", "elst", "ctts", "moof"],
    ),
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
    # Long files are those of a few packets here: so the seeds are small, and mutations hit what matters.
    long_mp4.LONG_PACKETS, long_mp4.HEAD_PACKETS = 4, 2
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name].read)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1].startswith("--inside="):
        fuzz(sys.argv[1].partition("=")[2], sys.argv[2:])
    sys.exit(main())
