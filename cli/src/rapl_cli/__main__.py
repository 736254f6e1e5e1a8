"""The command line of `rapl`."""

import argparse
import errno
import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from rapl_cli import command_line
from rapl_cli.errors import CommandError, report
from rapl_cli.fleet.env_file import read_env_file

_COMMANDS: dict[str, tuple[str, Callable[[Any, argparse.Namespace, list[str]], int]]] = {
    "up": ("up", lambda up, o, _: up.up(o.mlx, o.speakers, download=not o.no_download, detach=o.detach)),
    "down": ("up", lambda up, *_: up.down()),
    "status": ("status", lambda status, o, _: status.status(o)),
    "logs": ("logs", lambda logs, o, _: logs.logs(o.service, follow=o.follow, lines=o.lines)),
    "doctor": ("doctor", lambda doctor, o, _: doctor.doctor(o)),
    "cert": ("cert", lambda cert, o, _: cert.cert(o.names)),
    "mlx": ("mlx", lambda mlx, o, _: mlx.mlx(o.action, follow=o.follow)),
    "demo": ("demo", lambda demo, *_: demo.demo()),
    "models": ("models", lambda models, o, _: models.models(o)),
    "pull": ("pull", lambda pull, o, _: pull.pull(o)),
    "load": ("pull", lambda pull, o, _: pull.load(o)),
    "unload": ("models", lambda models, o, _: models.unload(o)),
    "rm": ("models", lambda models, o, _: models.remove(o)),
    "transcribe": ("transcribe", lambda transcribe, o, _: transcribe.transcribe(o)),
    "listen": ("listen", lambda listen, o, _: listen.listen(o)),
    "completion": ("completion", lambda completion, o, _: completion.completion(o.shell)),
    "bench": ("bench", lambda bench, o, _: bench.bench(o)),
    "test": ("development", lambda development, _, rest: development.test(rest)),
}
"""For each command its module in `commands/`, which is imported only when the command runs, and how to run it."""


_OF_THE_DISK = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EEXIST, errno.EISDIR}
)
"""Errors of files that a person can mend."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0 if the command did its work, 1 if it failed, 2 if it was used wrongly, 130 after Ctrl-C."""
    options, rest = command_line.parse(arguments)
    _end_like_ctrl_c(signal.SIGTERM, signal.SIGHUP)
    # After Ctrl-C, anyio leaves the coroutine of a connection that had not begun.
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    try:
        if options.command != "test":  # the tests must not depend on the settings of this checkout
            read_env_file()
        module, run = _COMMANDS[options.command]
        return run(import_module(f"rapl_cli.commands.{module}"), options, rest)
    except CommandError as error:
        report(error.text)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # as in `rapl logs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # otherwise the flush at exit fails as well
        return 128 + signal.SIGPIPE
    except OSError as error:
        if error.errno not in _OF_THE_DISK:
            raise
        report(f"{error.filename}: {error.strerror}" if error.filename else f"cannot write a file: {error.strerror}")
        return 1


def _end_like_ctrl_c(*numbers: signal.Signals) -> None:
    """Makes each command clean up when it is stopped or its terminal is closed. `nohup` still has its effect."""
    for number in numbers:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(*_: object) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a script
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.raise_signal(signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main())
