"""`rapl transcribe`: sends files, folders and globs to the gateway, and writes a transcript beside each file."""

import argparse
import asyncio
import glob
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rapl_cli.errors import report
from rapl_cli.gateway_address import GatewayAddress
from rapl_cli.gateway_api import GatewayError
from rapl_cli.transcription.calls import TranscriptionCalls
from rapl_cli.transcription.display import RecordingDisplay
from rapl_cli.transcription.model_wait import BatchAborted
from rapl_cli.transcription.recordings import Recording, find, recordings, write_atomically

_RESPONSE_FORMATS = {"txt": "verbose_json", "srt": "srt", "vtt": "vtt", "json": "verbose_json"}
"""The `response_format` to request for each output format: only verbose_json has the audio's duration."""


def transcribe(options: argparse.Namespace) -> int:
    """Returns 0 if every recording has a transcript, 1 if one failed, 2 if no recording was found."""
    found = find(options.files)
    # `rapl transcribe folder/*` also names transcripts and empty folders: report these only if nothing else was found.
    for argument in found.missing if found.files else found.missing + found.empty:
        exists = argument in found.empty or glob.has_magic(argument)
        report(f"{argument}: {'no audio or video found' if exists else 'no such file'}")
    if not found.files:
        return 2
    if options.stdout and options.jobs > 1:
        report("--stdout prints one transcript after another and cannot be combined with --jobs")
        return 2
    batch = _Batch(options, recordings(found, options.format, options.output_dir))
    try:
        asyncio.run(batch.run())
    except KeyboardInterrupt:
        batch.report_interruption()
        return 130
    return 1 if found.missing or batch.failed else 0


class _Batch:
    def __init__(self, options: argparse.Namespace, todo: list[Recording]) -> None:
        self._options = options
        self._todo = todo
        self._counts: Counter[str] = Counter()
        fields = {"model": options.model, "language": options.language, "prompt": options.prompt}
        self._fields = {name: value for name, value in fields.items() if value}
        self._fields["response_format"] = _RESPONSE_FORMATS[options.format]

    @property
    def failed(self) -> bool:
        return self._counts["transcribed"] + self._counts["skipped"] < len(self._todo)

    def report_interruption(self) -> None:
        """Prints what is finished after Ctrl-C, and how to do the rest."""
        done = self._counts["transcribed"] + self._counts["skipped"]
        files = "file is" if len(self._todo) == 1 else "files are"
        report(f"interrupted; {done} of {len(self._todo)} {files} transcribed")
        if not self._options.stdout:
            without = " without --force" if self._options.force else ""
            report(f"run the same command again{without} to transcribe the rest")

    async def run(self) -> None:
        queue = iter(self._todo)
        address = GatewayAddress.chosen(self._options.url, self._options.api_key)
        async with TranscriptionCalls(address, self._options.model) as calls:
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(self._options.jobs, len(self._todo))):
                        group.create_task(self._worker(queue, calls))
            except* BatchAborted as problems:
                report(problems.exceptions[0])
        if len(self._todo) > 1:
            self._counts["left"] = len(self._todo) - self._counts.total()
            summary = ", ".join(f"{count} {outcome}" for outcome, count in self._counts.items() if count)
            report(summary)

    async def _worker(self, queue: Iterator[Recording], calls: TranscriptionCalls) -> None:
        for recording in queue:
            lines = sys.stderr if self._options.stdout else sys.stdout
            async with RecordingDisplay(_display_name(recording.source), lines) as display:
                self._counts[await self._transcribe_one(recording, calls, display)] += 1

    async def _transcribe_one(self, recording: Recording, calls: TranscriptionCalls, display: RecordingDisplay) -> str:
        """Returns the outcome: "transcribed", "skipped" or "failed"."""
        try:
            if not self._options.stdout:
                if not self._options.force and recording.is_done:
                    display.skipped(_display_name(recording.output))
                    return "skipped"
                _check_writable(recording.output.parent)
            answer = await calls.transcribe(recording.source, self._fields, display)
            transcript, duration_s, has_speech = _parsed(answer.body, self._options.format)
            if self._options.stdout:
                display.close()
            await asyncio.to_thread(self._save, transcript, recording)
        except BatchAborted:
            raise
        except (GatewayError, OSError) as error:
            display.problem(_problem(error))
            return "failed"
        display.done(duration_s, answer.took_s, answer.problems, answer.damaged_s, has_speech=has_speech)
        return "transcribed"

    def _save(self, transcript: bytes, recording: Recording) -> None:
        if self._options.stdout:
            _print(transcript)
            return
        try:
            write_atomically(recording.output, transcript)
        except OSError as error:
            name = _display_name(recording.output)
            raise GatewayError(f"{name} cannot be written: {error.strerror}") from error


def _parsed(body: bytes, output_format: str) -> tuple[bytes, float | None, bool]:
    """The transcript in the requested format, the audio's duration if the answer has it, and whether there is speech.

    Raises:
        GatewayError: it is no transcript.
    """
    if output_format in ("srt", "vtt"):
        return body, None, b"-->" in body
    try:
        answer: Any = json.loads(body)
        text, duration_s = str(answer["text"]), float(answer["duration"])
    except (ValueError, LookupError, TypeError):
        raise GatewayError("the server's answer is not a transcript. Is --url the gateway's address?") from None
    return (f"{text}\n".encode() if output_format == "txt" else body), duration_s, bool(text.strip())


def _problem(error: GatewayError | OSError) -> str:
    """The reason on one line, without the path: the file's name is printed before it."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _print(transcript: bytes) -> None:
    try:
        sys.stdout.buffer.write(transcript if transcript.endswith(b"\n") else transcript + b"\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # otherwise Python's flush at exit fails as well
        raise BatchAborted("the reader of standard output has closed it") from None


def _check_writable(folder: Path) -> None:
    """Creates the folder and checks that it is writable. A transcription may take an hour. Raises: OSError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise NotADirectoryError(f"{_display_name(folder)} is not a folder") from None
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{_display_name(folder)} is not writable")


def _display_name(path: Path) -> str:
    """The path relative to the current folder. Bytes that are not UTF-8 are replaced, so that printing never fails."""
    here = Path.cwd()
    short = path.relative_to(here) if path.is_relative_to(here) else path
    return os.fsencode(short).decode("utf-8", "replace")
