"""`prepare-model`: downloads SenseVoice's weights and converts them, once; the server then needs no network."""

import argparse
import itertools
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rapl_hub.display import DownloadDisplay
from rapl_hub.errors import DamagedFile, HubError, HubUnavailable, NotFound
from rapl_hub.state import DownloadPhase, StateWriter
from rapl_service.log import configure_logging
from rapl_service.run import settings_or_exit

from rapl_sensevoice.model.graph import Precision
from rapl_sensevoice.settings import Settings
from rapl_sensevoice.unusable import ModelUnusable
from rapl_sensevoice.weights.download import OTHER_HUB, OTHER_SOURCE, download, hub_of, is_downloaded
from rapl_sensevoice.weights.graph_files import GraphManifest, ready_made
from rapl_sensevoice.weights.manifest import Manifest
from rapl_sensevoice.weights.on_disk import PREPARE, PREPARE_AGAIN, REPO, STATE_NAME, DownloadedWeights
from rapl_sensevoice.weights.removal import locked

RAISE_AGAIN_AFTER_S = 0.3
TRIES = 4
LONGEST_WAIT_S = 60

log = logging.getLogger("rapl.prepare-model")


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0 if the weights are complete, 1 if not, 130 after a signal."""
    parser = argparse.ArgumentParser(
        prog="prepare-model", description="Downloads SenseVoice's weights and converts them, once."
    )
    parser.add_argument(
        "--keep-trying",
        action="store_true",
        help=f"while the network fails, try again without limit (default: {TRIES} times)",
    )
    keep_trying = parser.parse_args(arguments).keep_trying
    settings = settings_or_exit(Settings)
    configure_logging(settings.log_level, settings.log_format)
    folder = settings.model_dir / REPO
    if settings.graph_precision and (files := ready_made(folder)):
        log.info("using the ready-made export %s", files.graph)
        return 0
    if is_downloaded(folder, settings.revision) and _is_converted(folder, settings.graph_precision):
        log.info("the weights are in %s", folder)
        return 0
    _silence_clients()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, _interrupt)
    return _prepare(settings, folder, keep_trying)


def _silence_clients() -> None:
    """Turns off the progress bars and log lines of the hubs' clients. They are per file; our display covers all files.

    The clients read these variables when they are imported, which happens later.
    """
    os.environ |= {"TQDM_DISABLE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_VERBOSITY": "error"}
    logging.getLogger("httpx2").setLevel(logging.WARNING)


def _interrupt(*_: object) -> None:
    """Raises KeyboardInterrupt, again and again until it takes effect.

    Python ignores exceptions in finalizers, and the hubs' clients have finalizers.
    """
    signal.setitimer(signal.ITIMER_REAL, RAISE_AGAIN_AFTER_S)
    raise KeyboardInterrupt


def _is_converted(folder: Path, precision: Precision | None) -> bool:
    if precision is None:
        return True
    graph, downloaded = GraphManifest.read(folder, precision), Manifest.read(folder)
    sources = {file.sha256 for file in downloaded.files} if downloaded else set()
    return graph is not None and graph.first_wrong_size(folder) is None and graph.source_sha256 in sources


def _prepare(settings: Settings, folder: Path, keep_trying: bool) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder), StateWriter(folder / STATE_NAME, DownloadDisplay(REPO, log)) as state:
            try:
                _download_with_retries(settings, folder, state, keep_trying)
                _convert(folder, settings.graph_precision, state)
                state.finish()
            except (Exception, KeyboardInterrupt) as error:
                signal.setitimer(signal.ITIMER_REAL, 0)
                reason, remedy = _explained(error, folder)
                log.error("%s. %s", reason, remedy)
                state.enter(DownloadPhase.FAILED, reason, remedy)
                return 130 if isinstance(error, KeyboardInterrupt) else 1
    except OSError as error:
        log.error("%s. %s", *_explained(error, folder))
        return 1
    log.info("the weights are in %s", folder)
    return 0


def _explained(error: BaseException, folder: Path) -> tuple[str, str]:
    """Returns the reason and the remedy to report."""
    match error:
        case ModelUnusable():
            return error.reason, error.remedy
        case HubUnavailable():
            return str(error), f"{_CHECK_NETWORK} {PREPARE_AGAIN}"
        case NotFound():
            return str(error), f"Check RAPL_SENSEVOICE_REVISION, or choose the other hub: {OTHER_HUB}."
        case DamagedFile():
            return str(error), f"{PREPARE}. If the error stays: {OTHER_SOURCE}"
        case HubError():
            return str(error), f"Choose the other hub: {OTHER_HUB}."
        case KeyboardInterrupt():
            return "the download was stopped", PREPARE_AGAIN
        case OSError(strerror=str(reason)):
            return f"cannot write to {folder}: {reason}", "Free some space, or give this user the right to write there."
        case _:
            log.error("the preparation failed: %s", error, exc_info=error)
            return "the preparation failed", "The log of prepare-model has the cause."


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Locks the folder, so that two runs do not write the same files. A second run waits, and then finds the files."""
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(folder, wait=False))
        except BlockingIOError:
            log.info("waiting for another prepare-model that is running in %s", folder)
            stack.enter_context(locked(folder, wait=True))
        yield


def _download_with_retries(settings: Settings, folder: Path, state: StateWriter, keep_trying: bool) -> None:
    hub = hub_of(settings)
    for attempt in itertools.count(1):
        try:
            return download(hub, settings.revision, folder, state)
        except HubUnavailable as error:
            if attempt >= TRIES and not keep_trying:
                raise
            wait_s = min(2**attempt, LONGEST_WAIT_S)
            at = time.strftime("%H:%M:%S UTC", time.gmtime(time.time() + wait_s))
            reason = f"{error}; next try in {wait_s} s, at {at}"
            log.warning("%s", reason)
            state.enter(DownloadPhase.WAITING, reason, _CHECK_NETWORK)
            time.sleep(wait_s)


def _convert(folder: Path, precision: Precision | None, state: StateWriter) -> None:
    if precision is None or _is_converted(folder, precision):
        return
    from rapl_sensevoice.weights.convert import convert

    log.info("converting the weights; this is done once")
    state.enter(DownloadPhase.CONVERTING)
    DownloadedWeights(folder).verify()  # files of an earlier run may have changed since then
    convert(folder, precision)


_CHECK_NETWORK = f"Check the network, or choose the other hub: {OTHER_HUB}."


if __name__ == "__main__":
    sys.exit(main())
