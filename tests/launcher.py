"""Starts a program with the signals that a shell gives it, and in a terminal if asked.

This file is run as a program of its own, which becomes the other one. A function between `fork` and `exec`, such as
`preexec_fn`, would run in a copy of the tests' process. After other tests in the same process it ended with SIGSEGV.
"""

import fcntl
import os
import signal
import sys
import termios
from collections.abc import Sequence

_TERMINAL, _BACKGROUND, _PIPES = "terminal", "background", "pipes"


def in_terminal(command: Sequence[str]) -> list[str]:
    """The command in the terminal that is its standard input. The process must lead a session of its own."""
    return _launched(_TERMINAL, command)


def in_foreground(command: Sequence[str]) -> list[str]:
    """The command as a shell starts it, also where the tests run in the background or under `nohup`."""
    return _launched(_PIPES, command)


def in_background(command: Sequence[str]) -> list[str]:
    """The command as a script starts it with `&`: Ctrl-C does nothing."""
    return _launched(_BACKGROUND, command)


def _launched(way: str, command: Sequence[str]) -> list[str]:
    return [sys.executable, "-I", "-S", __file__, way, *command]


def _become(way: str, command: Sequence[str]) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN if way == _BACKGROUND else signal.SIG_DFL)
    if way == _TERMINAL:
        fcntl.ioctl(sys.stdin, termios.TIOCSCTTY, 0)
    os.execvp(command[0], command)


if __name__ == "__main__":
    _become(sys.argv[1], sys.argv[2:])
