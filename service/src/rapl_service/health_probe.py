"""The health check of the containers, which have no curl: `python -m rapl_service.health_probe URL MODULE`.

It exits with 0 if the URL responds with 200.

Docker restarts a process that has ended, but not one that hangs. So after `MAX_TIMEOUTS` consecutive timeouts the probe
kills the process of `python -m MODULE`. Before that, the process writes the traceback of each thread to its log.
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
    """Whether the URL responds with 200.

    Raises:
        TimeoutError: a process listens at the URL, but it does not respond.
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
    """Same as `is_healthy`, but also kills the process after MAX_TIMEOUTS consecutive timeouts.

    Args:
        timeouts: a file with one byte for each consecutive timeout.
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
    """The ids of the processes of `python -m module`. Docker's init, which has the same words at the end of its command
    line, is left out."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            _, *arguments = (folder / "cmdline").read_text().rstrip("\0").split("\0")
            if arguments == ["-m", module]:
                yield int(folder.name)


if __name__ == "__main__":
    url, module = sys.argv[1:]
    timeouts = Path(tempfile.gettempdir()) / "rapl-timeouts"
    sys.exit(0 if is_healthy_or_killed(url, module, timeouts) else 1)
