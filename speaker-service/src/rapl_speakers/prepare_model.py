"""`prepare-speakers`: downloads the weights of both networks, once; the server then needs no network."""

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rapl_hub.display import DownloadDisplay
from rapl_hub.errors import HubError
from rapl_hub.files import sha256_of
from rapl_hub.hub import Hub
from rapl_hub.huggingface import HuggingFaceHub
from rapl_hub.modelscope import ModelScopeHub
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

from rapl_speakers.settings import Settings
from rapl_speakers.weights import FOLDER, PREPARE_AGAIN, STATE_NAME, VOICE, SpeakerWeights

BY_HAND = "Or copy the two files there by hand: the README of speaker-service has their names and sources."

log = logging.getLogger("rapl.prepare-speakers")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a file comes from."""

    hub: Hub
    revision: str
    path: str
    """The file's path in the repository."""
    sha256: str | None = None
    """Of the published file; None if only the hub knows it."""


def sources(model_dir: Path) -> tuple[Source, ...]:
    """CAM++ is on ModelScope. pyannote's own repository of the segmentation can be read with an account only, so the
    export of Hugging Face's ONNX community is used."""
    modelscope = ModelScopeHub("iic/speech_campplus_sv_zh_en_16k-common_advanced", model_dir / ".modelscope")
    return (
        Source(modelscope, "v1.0.0", VOICE.name, VOICE.sha256),
        Source(HuggingFaceHub("onnx-community/pyannote-segmentation-3.0"), "main", "onnx/model.onnx"),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0 if the weights are complete, 1 if not, 130 after a signal."""
    keep_trying = keeps_trying("prepare-speakers", "Downloads the weights that speaker-service needs, once.", arguments)
    settings = settings_or_exit(Settings)
    configure_logging(settings.log_level, settings.log_format)
    weights = SpeakerWeights(settings.model_dir)
    if weights.are_complete:
        log.info("the weights are in %s", weights.folder)
        return 0
    return prepare(weights, sources(settings.model_dir), keep_trying)


def prepare(weights: SpeakerWeights, wanted: Sequence[Source], keep_trying: bool) -> int:
    """Downloads the files until they are complete or a signal comes. Returns the exit code, as `main`."""
    silence_clients()
    interrupt_on_signals()
    try:
        weights.folder.mkdir(parents=True, exist_ok=True)
        with (
            alone_in(weights.folder, log),
            StateWriter(weights.folder / STATE_NAME, DownloadDisplay(FOLDER, log)) as state,
        ):
            try:
                for source in wanted:
                    download = partial(_download, source, weights.folder, state)
                    with_retries(download, state, log, remedy="Check the network.", keep_trying=keep_trying)
                state.finish()
            except (HubError, KeyboardInterrupt) as error:
                interruption_ended()
                reason = str(error) or "the download was stopped"
                log.error("%s. %s %s", reason, PREPARE_AGAIN, BY_HAND)
                state.enter(DownloadPhase.FAILED, reason, f"{PREPARE_AGAIN} {BY_HAND}")
                return 130 if isinstance(error, KeyboardInterrupt) else 1
    except OSError as error:
        log.error("cannot write to %s: %s", weights.folder, error.strerror)
        return 1
    log.info("the weights are in %s", weights.folder)
    return 0


def _download(source: Source, folder: Path, state: StateWriter) -> None:
    """Downloads a file to the folder, by its name without folders.

    Raises:
        HubError: see `Hub`; also if the hub has another file than the published one.
    """
    listing = source.hub.list_files(source.revision)
    file = next((each for each in listing.files if each.name == source.path), None)
    if file is None or (source.sha256 and file.sha256 not in (None, source.sha256)):
        raise HubError(f"{source.hub.title} does not have the published {source.path} in {source.hub.repo}")
    unfinished = folder / source.path
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    state.downloading({unfinished: file.size})
    source.hub.download(file, listing.revision, unfinished)
    if source.sha256 and sha256_of(unfinished) != source.sha256:
        unfinished.unlink()
        raise HubError(f"{source.path} of {source.hub.title} is not the published file")
    unfinished.replace(folder / unfinished.name)


if __name__ == "__main__":
    sys.exit(main())
