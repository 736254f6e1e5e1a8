"""`python -m rapl_cli.rotating_log LOG COMMAND...`: runs a command with its output in a log of bounded size.

launchd appends to a file for ever. It starts this program instead, which keeps the last `KEPT` files of `MAX_BYTES`.
"""

import logging
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from logging.handlers import RotatingFileHandler
from pathlib import Path

MAX_BYTES = 10 << 20
KEPT = 5
_BAD_SETTING_EXIT_CODE = 2


def run(log: Path, command: Sequence[str]) -> int:
    """Runs the command to its end, passes SIGTERM and SIGINT on to it, and returns the exit code for launchd."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda received, _: process.send_signal(received))
        assert process.stdout
        copy_lines(process.stdout, log)
    return exit_code_for_launchd(process.returncode)


def copy_lines(lines: Iterable[bytes], log: Path, max_bytes: int = MAX_BYTES) -> None:
    """Writes the lines as they come into files of which each has at most so many bytes."""
    with closing(RotatingFileHandler(log, maxBytes=max_bytes, backupCount=KEPT - 1, encoding="utf-8")) as file:
        for line in lines:
            file.emit(logging.makeLogRecord({"msg": line.decode("utf-8", "replace").rstrip("\n")}))


def exit_code_for_launchd(code: int) -> int:
    """launchd starts a job again that did not end with 0, as often as it takes.

    A wrong setting does not mend itself: it counts as a success, so that the job stays down, its log with the reason.
    """
    if code == _BAD_SETTING_EXIT_CODE:
        return 0
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), sys.argv[2:]))
