"""`prepare-model`: downloads SenseVoice's weights and converts them, once; the server then runs with no network."""

import argparse
import fcntl
import itertools
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rapl_service.log import configure_logging
from rapl_service.run import settings_or_exit

from rapl_sensevoice.model.graph import Precision
from rapl_sensevoice.settings import Settings
from rapl_sensevoice.unusable import ModelUnusable
from rapl_sensevoice.weights.graph_files import GraphManifest, ready_made
from rapl_sensevoice.weights.hub import Hub, HubFile, HubUnreachable, checked, files_to_take
from rapl_sensevoice.weights.hub_huggingface import HuggingFaceHub
from rapl_sensevoice.weights.hub_modelscope import ModelScopeHub
from rapl_sensevoice.weights.manifest import MANIFEST_NAME, Manifest, missing_files
from rapl_sensevoice.weights.on_disk import REPO, DownloadedWeights
from rapl_sensevoice.weights.progress import DownloadProgress, is_terminal

AGAIN_AFTER_S = 0.3
TRIES = 4
LONGEST_WAIT_S = 60

log = logging.getLogger("rapl.prepare-model")


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0 when the weights are there and whole, 1 when not."""
    parser = argparse.ArgumentParser(
        prog="prepare-model", description="Downloads SenseVoice's weights and converts them, once."
    )
    parser.add_argument(
        "--keep-trying",
        action="store_true",
        help=f"while the network fails, try again for ever (default: {TRIES} times)",
    )
    keep_trying = parser.parse_args(arguments).keep_trying
    settings = settings_or_exit(Settings)
    configure_logging(settings.log_level)
    folder = settings.model_dir / REPO
    if settings.graph_precision and (files := ready_made(folder)):
        log.info("%s is there, ready-made", files.graph)
        return 0
    if _is_prepared(settings, folder):
        log.info("the weights are in %s", folder)
        return 0
    _quiet_clients()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, _interrupt)
    return _prepare(settings, folder, keep_trying)


def _quiet_clients() -> None:
    """The hubs' clients draw a bar and log a line for each file; ours tells of all of them.

    They read these variables when they are imported, which is later.
    """
    os.environ |= {"TQDM_DISABLE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_VERBOSITY": "error"}
    logging.getLogger("httpx2").setLevel(logging.WARNING)


def _interrupt(*_: object) -> None:
    """Raises KeyboardInterrupt, and goes on doing so until it was heard: Python ignores what a finalizer raises, and
    the hubs' clients have those."""
    signal.setitimer(signal.ITIMER_REAL, AGAIN_AFTER_S)
    raise KeyboardInterrupt


def _is_prepared(settings: Settings, folder: Path) -> bool:
    return _is_downloaded(folder, settings.revision) and _is_converted(folder, settings.graph_precision)


def _is_downloaded(folder: Path, revision: str) -> bool:
    manifest = Manifest.read(folder)
    return (
        manifest is not None
        and manifest.asked_revision == revision
        and manifest.first_wrong_size(folder) is None
        and not missing_files(folder)
    )


def _is_converted(folder: Path, precision: Precision | None) -> bool:
    if precision is None:
        return True
    graph, downloaded = GraphManifest.read(folder, precision), Manifest.read(folder)
    sources = {file.sha256 for file in downloaded.files} if downloaded else set()
    return graph is not None and graph.first_wrong_size(folder) is None and graph.source_sha256 in sources


def _prepare(settings: Settings, folder: Path, keep_trying: bool) -> int:
    hub = HuggingFaceHub() if settings.hub == "huggingface" else ModelScopeHub(settings.model_dir / ".modelscope")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder), DownloadProgress(folder, is_terminal()) as progress:
            try:
                _download_with_patience(hub, settings.revision, folder, progress, keep_trying)
                _convert(folder, settings.graph_precision, progress)
                progress.finish()
            except (Exception, KeyboardInterrupt) as error:
                signal.setitimer(signal.ITIMER_REAL, 0)
                progress.failed(*_told(error, folder))
                return 130 if isinstance(error, KeyboardInterrupt) else 1
    except OSError as error:
        log.error("%s. %s", *_told(error, folder))
        return 1
    log.info("the weights are in %s", folder)
    return 0


def _told(error: BaseException, folder: Path) -> tuple[str, str]:
    """Gives the reason and the remedy."""
    match error:
        case ModelUnusable():
            return error.reason, error.remedy
        case KeyboardInterrupt():
            return "the download was stopped", "Run `prepare-model` again: it goes on where it stopped."
        case OSError(strerror=str(reason)):
            return f"cannot write to {folder}: {reason}", "Make room there, or give this user the right to write."
        case _:
            log.error("the preparation failed", exc_info=error)
            return "the preparation failed", "The log of `prepare-model` has the cause."


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two at once would write into the same files; the second waits, and then finds them there."""
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("another prepare-model is at work in %s; waiting for it", folder)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _download_with_patience(
    hub: Hub, revision: str, folder: Path, progress: DownloadProgress, keep_trying: bool
) -> None:
    for attempt in itertools.count(1):
        try:
            _download(hub, revision, folder, progress)
        except HubUnreachable as error:
            reason = f"{hub.title} cannot be reached ({error})"
            remedy = "Check the network, or choose the other hub with RAPL_SENSEVOICE_HUB."
            if attempt >= TRIES and not keep_trying:
                raise ModelUnusable(reason, f"{remedy} Then run `prepare-model` again.") from error
            wait_s = min(2**attempt, LONGEST_WAIT_S)
            progress.waiting(f"{reason}; next try in {wait_s} s, at {_utc(time.time() + wait_s)}", remedy)
            time.sleep(wait_s)
        else:
            return


def _utc(moment: float) -> str:
    return time.strftime("%H:%M:%S UTC", time.gmtime(moment))


def _convert(folder: Path, precision: Precision | None, progress: DownloadProgress) -> None:
    if precision is None or _is_converted(folder, precision):
        return
    from rapl_sensevoice.weights.convert import convert

    progress.converting()
    DownloadedWeights(folder).verify()  # what an earlier run downloaded may have changed since
    convert(folder, precision)


def _download(hub: Hub, asked_revision: str, folder: Path, progress: DownloadProgress) -> None:
    if _is_downloaded(folder, asked_revision):  # by an earlier run, or by the one that this one waited for
        return
    pinned = _pinned(hub, asked_revision, folder)
    listing = hub.list_files(pinned.revision if pinned else asked_revision)
    files = files_to_take(listing, hub)
    if pinned:
        _require_same(pinned, files)
    progress.downloading(files)
    done = []
    for file in files:
        hub.download(file, listing.revision, folder)
        done.append(checked(file, folder))
    if missing := missing_files(folder):
        raise ModelUnusable(f"configuration.json names files that are not there: {', '.join(missing)}", _OTHER_REVISION)
    manifest = Manifest(
        hub=hub.name, repo=hub.repo, revision=listing.revision, asked_revision=asked_revision, files=tuple(done)
    )
    manifest.write(folder)


def _pinned(hub: Hub, asked_revision: str, folder: Path) -> Manifest | None:
    """What an earlier run settled on, where it was asked for the same."""
    manifest = Manifest.read(folder)
    asked = (hub.name, hub.repo, asked_revision)
    return manifest if manifest and (manifest.hub, manifest.repo, manifest.asked_revision) == asked else None


def _require_same(pinned: Manifest, files: Sequence[HubFile]) -> None:
    sha256 = {file.name: file.sha256 for file in pinned.files}
    for file in files:
        if file.sha256 and sha256.get(file.name, file.sha256) != file.sha256:
            remedy = f"Delete {MANIFEST_NAME} beside it to take the hub's newest version."
            raise ModelUnusable(f"the hub's {file.name} is no longer the one that was pinned", remedy)


_OTHER_REVISION = "Choose another revision with RAPL_SENSEVOICE_REVISION."


if __name__ == "__main__":
    sys.exit(main())
