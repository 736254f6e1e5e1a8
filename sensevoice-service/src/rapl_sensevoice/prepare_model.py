"""`prepare-model`: downloads SenseVoice's weights and converts them, once; the server then needs no network."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from rapl_hub.display import DownloadDisplay
from rapl_hub.errors import DamagedFile, HubError, HubUnavailable, NotFound
from rapl_hub.prepare import (
    alone_in,
    interrupt_on_signals,
    interruption_ended,
    keeps_trying,
    silence_clients,
    with_retries,
)
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

log = logging.getLogger("rapl.prepare-model")


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0 if the weights are complete, 1 if not, 130 after a signal."""
    keep_trying = keeps_trying("prepare-model", "Downloads SenseVoice's weights and converts them, once.", arguments)
    settings = settings_or_exit(Settings)
    configure_logging(settings.log_level, settings.log_format)
    folder = settings.model_dir / REPO
    if settings.graph_precision and (files := ready_made(folder)):
        log.info("using the ready-made export %s", files.graph)
        return 0
    if is_downloaded(folder, settings.revision) and _is_converted(folder, settings.graph_precision):
        log.info("the weights are in %s", folder)
        return 0
    silence_clients()
    interrupt_on_signals()
    return _prepare(settings, folder, keep_trying)


def _is_converted(folder: Path, precision: Precision | None) -> bool:
    if precision is None:
        return True
    graph, downloaded = GraphManifest.read(folder, precision), Manifest.read(folder)
    sources = {file.sha256 for file in downloaded.files} if downloaded else set()
    return graph is not None and graph.first_wrong_size(folder) is None and graph.source_sha256 in sources


def _prepare(settings: Settings, folder: Path, keep_trying: bool) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with alone_in(folder, log), StateWriter(folder / STATE_NAME, DownloadDisplay(REPO, log)) as state:
            try:
                hub = hub_of(settings)
                with_retries(
                    lambda: download(hub, settings.revision, folder, state),
                    state, log, remedy=_CHECK_NETWORK, keep_trying=keep_trying,
                )  # fmt: skip
                _convert(folder, settings.graph_precision, state)
                state.finish()
            except (Exception, KeyboardInterrupt) as error:
                interruption_ended()
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
