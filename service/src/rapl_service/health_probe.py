"""`python -m rapl_service.health_probe URL MODULE` exits 0 if the URL answers 200: containers have no curl.

Docker starts again what has ended, and leaves alone what has stopped answering. So the process of `python -m MODULE` is
ended when it has taken `MAX_TIMEOUTS` questions in a row and answered none; its log then has where each thread stood.
"""

import contextlib
import http.client
import os
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

MAX_TIMEOUTS = 6
TRACEBACK_S = 0.5


def is_healthy(url: str, timeout_s: float = 3.0) -> bool:
    """
    Raises:
        TimeoutError: something listens there, and does not answer.
    """
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:
            return answer.status == 200
    except TimeoutError:
        raise
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise error.reason from error
        return False
    except (OSError, http.client.HTTPException):
        return False


def is_healthy_or_killed(url: str, module: str, timeouts: Path, timeout_s: float = 3.0) -> bool:
    """As `is_healthy`, and ends what does not answer for the last time.

    Args:
        timeouts: a file that has a byte for each question in a row without an answer.
    """
    try:
        result = is_healthy(url, timeout_s)
    except TimeoutError:
        with timeouts.open("ab") as file:
            file.write(b".")
            if file.tell() < MAX_TIMEOUTS:
                return False
        _kill(module)
        result = False
    timeouts.unlink(missing_ok=True)
    return result


def _kill(module: str) -> None:
    for number in (signal.SIGUSR1, signal.SIGKILL):
        for pid in _pids(module):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        time.sleep(TRACEBACK_S)


def _pids(module: str) -> Iterator[int]:
    """Of `python -m module`; Docker's init, which has the same words behind its own, is none of them."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            _, *arguments = (folder / "cmdline").read_text().rstrip("\0").split("\0")
            if arguments == ["-m", module]:
                yield int(folder.name)


if __name__ == "__main__":
    url, module = sys.argv[1:]
    timeouts = Path(tempfile.gettempdir()) / "rapl-timeouts"
    sys.exit(0 if is_healthy_or_killed(url, module, timeouts) else 1)
