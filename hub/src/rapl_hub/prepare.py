"""What the commands share that download the weights of a model once: `prepare-model` and `prepare-speakers`."""

import argparse
import fcntl
import itertools
import logging
import os
import signal
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rapl_hub.errors import HubUnavailable
from rapl_hub.state import DownloadPhase, StateWriter

TRIES = 4
LONGEST_WAIT_S = 60
_RAISE_AGAIN_AFTER_S = 0.3
_LOCK_NAME = ".lock"


def keeps_trying(program: str, description: str, arguments: Sequence[str] | None) -> bool:
    """Parses the command's arguments and returns whether it tries again without limit while the network fails."""
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument(
        "--keep-trying",
        action="store_true",
        help=f"while the network fails, try again without limit (default: {TRIES} times)",
    )
    return parser.parse_args(arguments).keep_trying


def silence_clients() -> None:
    """Turns off the progress bars and log lines of the hubs' clients. They are per file; our display covers all files.

    The clients read these variables when they are imported, which must happen later.
    """
    os.environ |= {"TQDM_DISABLE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_VERBOSITY": "error"}
    logging.getLogger("httpx2").setLevel(logging.WARNING)


def interrupt_on_signals() -> None:
    """From now on SIGTERM raises KeyboardInterrupt as Ctrl-C does, again and again until `interruption_ended`.

    Python ignores exceptions in finalizers, and the hubs' clients have finalizers.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, _interrupt)


def interruption_ended() -> None:
    """The KeyboardInterrupt has arrived, and is not raised again."""
    signal.setitimer(signal.ITIMER_REAL, 0)


def _interrupt(*_: object) -> None:
    signal.setitimer(signal.ITIMER_REAL, _RAISE_AGAIN_AFTER_S)
    raise KeyboardInterrupt


@contextmanager
def locked(folder: Path, *, wait: bool) -> Generator[None]:
    """Holds the lock of the folder. Raises: BlockingIOError if another process holds it and `wait` is false."""
    with (folder / _LOCK_NAME).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


@contextmanager
def alone_in(folder: Path, log: logging.Logger) -> Generator[None]:
    """Locks the folder, so that two runs do not write the same files. A second run waits, and then finds the files."""
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(folder, wait=False))
        except BlockingIOError:
            log.info("waiting for another run that writes to %s", folder)
            stack.enter_context(locked(folder, wait=True))
        yield


def with_retries(
    download: Callable[[], None], state: StateWriter, log: logging.Logger, *, remedy: str, keep_trying: bool
) -> None:
    """Downloads, and tries again after a pause while the hub cannot be reached. `remedy` is shown meanwhile.

    Raises:
        HubUnavailable: after the last of TRIES, unless `keep_trying`.
        HubError: see `Hub`.
    """
    for attempt in itertools.count(1):
        try:
            return download()
        except HubUnavailable as error:
            if attempt >= TRIES and not keep_trying:
                raise
            wait_s = min(2**attempt, LONGEST_WAIT_S)
            at = time.strftime("%H:%M:%S UTC", time.gmtime(time.time() + wait_s))
            reason = f"{error}; next try in {wait_s} s, at {at}"
            log.warning("%s", reason)
            state.enter(DownloadPhase.WAITING, reason, remedy)
            time.sleep(wait_s)
