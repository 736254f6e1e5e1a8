"""`python -m rapl_preprocess.workers.zygote`: loads the code and the model for decoding, and then forks decoders.

A forked decoder starts in milliseconds and shares most of its memory with the others. A new Python process takes a
second to start on a busy machine. Forking is safe because the process has one thread. It is not safe on macOS, whose
own libraries (Accelerate, libdispatch) do not work in a forked process: see `spawner`.
"""

import gc
import json
import os
import signal
import socket
import sys

from rapl_service.log import configure_logging

from rapl_preprocess.workers.decoder import loaded_model, serve_and_exit
from rapl_preprocess.workers.limits import Limits
from rapl_preprocess.workers.parent import ignore_stop_signals, start_on_request


def main() -> None:
    requests, limits = socket.socket(fileno=int(sys.argv[1])), Limits(**json.loads(sys.argv[2]))
    configure_logging(*sys.argv[3:5])
    ignore_stop_signals()
    model = loaded_model()
    gc.collect()
    gc.freeze()  # otherwise the first collection in each child would copy all of it

    def fork(control: socket.socket) -> None:
        if os.fork() == 0:
            requests.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            serve_and_exit(control, limits, model)

    start_on_request(requests, fork)


if __name__ == "__main__":
    main()
