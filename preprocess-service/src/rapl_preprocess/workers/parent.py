"""What the parent processes of decoders have in common: the zygote, which forks, and the spawner."""

import logging
import os
import signal
import socket
from collections.abc import Callable

log = logging.getLogger("rapl")


def ignore_stop_signals() -> None:
    """The service finishes its requests after such a signal, and then closes the sockets."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def start_on_request(requests: socket.socket, start: Callable[[socket.socket], None]) -> None:
    """Starts a decoder for each byte that arrives; the descriptor of its control socket comes with the byte.

    It returns when the service closes the socket.

    Args:
        requests: the socket from the service.
        start: starts a decoder with this control socket, which is closed here afterwards.
    """
    signal.signal(signal.SIGCHLD, _reap)
    while True:
        request, descriptors, _, _ = socket.recv_fds(requests, 1, 1)
        if not request:
            return
        with socket.socket(fileno=descriptors[0]) as control:
            start(control)


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
