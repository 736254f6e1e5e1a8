"""`python -m rapl_preprocess.workers.zygote`: loads the code and the model for decoding, and then forks decoders.

A forked decoder starts in milliseconds and shares most of its memory with the others. A new Python process takes a
second to start on a busy machine. Forking is safe because the process has one thread.
"""

import gc
import json
import logging
import os
import signal
import socket
import sys

from rapl_protocol.prepared import PrepareOptions
from rapl_service.log import configure_logging

from rapl_preprocess.media.containers import MediaInMemory
from rapl_preprocess.prepare import prepare
from rapl_preprocess.speech.silero import SpeechModel
from rapl_preprocess.workers.decoder import serve
from rapl_preprocess.workers.limits import Limits

log = logging.getLogger("rapl")

_WARM_UP = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x40\x1f\0\0\1\0\x08\0data\xff\xff\xff\xff"
"""The header of a WAV file with 8 kHz u8, which has to be decoded and resampled."""


def main() -> None:
    """Forks a decoder for each byte that arrives; the descriptor of its control socket comes with the byte.

    It returns when the service closes the socket.
    """
    requests, limits = socket.socket(fileno=int(sys.argv[1])), Limits(**json.loads(sys.argv[2]))
    configure_logging(sys.argv[3])
    for number in (signal.SIGINT, signal.SIGTERM):  # the service finishes its requests, and then closes the socket
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, _reap)
    model = SpeechModel.load()
    for _ in prepare(MediaInMemory(_WARM_UP + bytes(8_000)), PrepareOptions(), 10.0, model, lambda: False):
        pass
    gc.collect()
    gc.freeze()  # otherwise the first collection in each child would copy all of it
    while True:
        request, descriptors, _, _ = socket.recv_fds(requests, 1, 1)
        if not request:
            return
        control = socket.socket(fileno=descriptors[0])
        if os.fork() == 0:
            requests.close()
            _run_child(control, limits, model)
        control.close()


def _run_child(control: socket.socket, limits: Limits, model: SpeechModel) -> None:
    """Runs a decoder and exits without running the parent's cleanup."""
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        serve(control, limits, model)
        code = 0
    except (BrokenPipeError, ConnectionResetError):
        code = 0  # the service has ended
    except BaseException:
        log.exception("decoder failed")
    finally:
        os._exit(code)


def _reap(*_: object) -> None:
    """Reaps the children that have ended, and logs the signal that ended one."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        if os.WIFSIGNALED(status):
            log.warning("decoder %d was killed by %s", pid, signal.Signals(os.WTERMSIG(status)).name)


if __name__ == "__main__":
    main()
