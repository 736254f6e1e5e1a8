"""`python -m rapl_cli.rotating_log LOG COMMAND...`: runs a command and writes its output to a log of bounded size.

It keeps `KEPT` files of at most `MAX_BYTES` each. launchd itself never rotates a log.
"""

import logging
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from logging.handlers import RotatingFileHandler
from pathlib import Path

from rapl_service.exit_codes import BAD_SETTING

MAX_BYTES = 10 << 20
KEPT = 5


def run(log: Path, command: Sequence[str]) -> int:
    """Runs the command until it exits, forwards SIGTERM and SIGINT to it, and returns its exit code."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda received, _: process.send_signal(received))
        assert process.stdout
        copy_lines(process.stdout, log)
    return process.returncode


def copy_lines(lines: Iterable[bytes], log: Path, max_bytes: int = MAX_BYTES) -> None:
    """Writes lines as they arrive, and starts a new file before one exceeds `max_bytes`."""
    with closing(RotatingFileHandler(log, maxBytes=max_bytes, backupCount=KEPT - 1, encoding="utf-8")) as file:
        for line in lines:
            file.emit(logging.makeLogRecord({"msg": line.decode("utf-8", "replace").rstrip("\n")}))


def exit_code_for_launchd(code: int) -> int:
    """The command's exit code, but 0 for a wrong setting.

    launchd restarts a job until it exits with 0. A restart does not correct a wrong setting, so the job must stay
    down; the log has the reason.
    """
    if code == BAD_SETTING:
        return 0
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    sys.exit(exit_code_for_launchd(run(Path(sys.argv[1]), sys.argv[2:])))
