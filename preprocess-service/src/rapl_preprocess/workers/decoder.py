"""A decoding process. It decodes one file after another. A crash affects one file only.

The zygote forks it. The spawner starts it as `python -m rapl_preprocess.workers.decoder`.

It communicates over sockets only:

    control   <-  {"kind": "prepare" or "clip", "options": {...}, "max_duration_s": 43200.0, "inline_bytes": 70213}\\n
                  + descriptors
    control   ->  b"."  ready for a file
    output    <-  the file's bytes, if its descriptor was not sent
    output    ->  frames: {"log": {...}, "is_last": false} with a batch as payload; or {"error": {...}, "status": 400}

Each file has its own output socket. The service closes the other end when the result is no longer needed.
"""

import json
import logging
import os
import select
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any, NoReturn

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.frames import encode_frame
from rapl_protocol.prepared import PrepareOptions
from rapl_service.log import configure_logging

from rapl_preprocess.batches import Batch, in_batches
from rapl_preprocess.clip import clip
from rapl_preprocess.media.containers import TOO_MUCH_MEMORY, Media, MediaInMemory, MediaOnDisk, undecodable
from rapl_preprocess.prepare import prepare
from rapl_preprocess.speech.silero import SpeechModel
from rapl_preprocess.workers.limits import Limits

READY = b"."
MAX_JOB_BYTES = 1 << 16
_FILES = 500
"""The process ends after this many files and another replaces it, so that leaks do not grow for months."""

_WARM_UP = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x40\x1f\0\0\1\0\x08\0data\xff\xff\xff\xff"
"""The header of a WAV file with 8 kHz u8, which has to be decoded and resampled."""

log = logging.getLogger("rapl")


def main() -> NoReturn:
    control, limits = socket.socket(fileno=int(sys.argv[1])), Limits(**json.loads(sys.argv[2]))
    configure_logging(*sys.argv[3:5])
    serve_and_exit(control, limits, loaded_model())


def loaded_model() -> SpeechModel:
    """Loads the model, and decodes a second of audio, so that the first file does not wait for code to be loaded."""
    model = SpeechModel.load()
    for _ in prepare(MediaInMemory(_WARM_UP + bytes(8_000)), PrepareOptions(), 10.0, model, lambda: False):
        pass
    return model


def serve_and_exit(control: socket.socket, limits: Limits, model: SpeechModel) -> NoReturn:
    """Decodes until the other end of `control` is closed. Exits without the interpreter's cleanup, which a forked
    process shares with its parent."""
    code = 1
    try:
        serve(control, limits, model)
        code = 0
    except (BrokenPipeError, ConnectionResetError):
        code = 0  # the service has ended
    except BaseException:
        log.exception("decoder failed")
    finally:
        os._exit(code)


def serve(control: socket.socket, limits: Limits, model: SpeechModel) -> None:
    """Decodes until the other end of `control` is closed."""
    limits.restrict_process()
    for _ in range(_FILES):
        control.sendall(READY)
        line, descriptors = _received(control)
        if not line:
            return
        job = json.loads(line)
        with ExitStack() as stack:
            output = stack.enter_context(socket.socket(fileno=descriptors[0]))
            for descriptor in descriptors[1:]:
                stack.callback(os.close, descriptor)
            with suppress(BrokenPipeError, ConnectionResetError):  # the result is no longer needed
                _answer(output, descriptors[1:], job, limits, model)


def _received(control: socket.socket) -> tuple[bytes, list[int]]:
    """Returns the job, and the descriptors of the output and, if it was sent, of the file.

    Both are empty if `control` is closed.
    """
    line, descriptors = b"", []
    while not line.endswith(b"\n"):
        piece, more, _, _ = socket.recv_fds(control, MAX_JOB_BYTES, 2)
        if not piece:
            return b"", []
        line += piece
        descriptors += more
    return line, descriptors


def _answer(output: socket.socket, files: list[int], job: dict[str, Any], limits: Limits, model: SpeechModel) -> None:
    limits.restrict_file()
    try:
        media = MediaOnDisk(files[0]) if files else _inline(output, job["inline_bytes"])
        batches = _batches(media, job, model, _disconnect_check(output))
        while batch := _next(batches, limits):
            output.sendall(_frame(batch))
    except ServiceError as error:
        output.sendall(_error_frame(error))
    except MemoryError:
        output.sendall(_error_frame(undecodable(TOO_MUCH_MEMORY)))
    except OSError:
        raise
    except Exception:
        log.exception("decoding failed")
        error = ServiceError(ErrorCode.INTERNAL, "internal error; the server's log has the cause")
        output.sendall(_error_frame(error))


def _batches(media: Media, job: dict[str, Any], model: SpeechModel, is_stopped: Callable[[], bool]) -> Iterator[Batch]:
    options = PrepareOptions.model_validate(job["options"])
    if job["kind"] == "clip":
        return clip(media, options, model, is_stopped)
    return in_batches(prepare(media, options, job["max_duration_s"], model, is_stopped))


def _next(batches: Iterator[Batch], limits: Limits) -> Batch | None:
    with limits.no_stall():
        return next(batches, None)


def _inline(output: socket.socket, size: int) -> Media:
    content = bytearray(size)
    missing = memoryview(content)
    while missing:
        received = output.recv_into(missing)
        if not received:
            raise BrokenPipeError
        missing = missing[received:]
    return MediaInMemory(content)


def _disconnect_check(output: socket.socket) -> Callable[[], bool]:
    """Returns a function that checks whether the other end was closed. A call takes a microsecond."""
    poll = select.poll()
    poll.register(output, 0)
    return lambda: bool(poll.poll(0))


def _frame(batch: Batch) -> bytes:
    header = {"log": batch.log_fields, "damage": batch.damage, "is_last": batch.is_last}
    return encode_frame(header, batch.body)


def _error_frame(error: ServiceError) -> bytes:
    return encode_frame({**error.envelope(), "status": error.status})


if __name__ == "__main__":
    main()
