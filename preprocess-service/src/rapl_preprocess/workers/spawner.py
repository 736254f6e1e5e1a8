"""`python -m rapl_preprocess.workers.spawner`: starts decoders as new Python processes, where forking is not safe.

It takes the place of the zygote, and is a process of its own too, so that the service itself has no children to reap.
A decoder takes 0.5 to 1 s to start. The service keeps some ready, so a file seldom waits for that.
"""

import os
import socket
import sys

from rapl_service.log import configure_logging

from rapl_preprocess.workers.parent import ignore_stop_signals, start_on_request


def main() -> None:
    requests, (limits, *log) = socket.socket(fileno=int(sys.argv[1])), sys.argv[2:]
    configure_logging(*log)
    ignore_stop_signals()  # the decoders inherit this
    requests.set_inheritable(False)

    def spawn(control: socket.socket) -> None:
        control.set_inheritable(True)
        command = [sys.executable, "-m", "rapl_preprocess.workers.decoder", str(control.fileno()), limits, *log]
        os.posix_spawn(sys.executable, command, os.environ)

    start_on_request(requests, spawn)


if __name__ == "__main__":
    main()
