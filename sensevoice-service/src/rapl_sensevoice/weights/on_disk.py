"""Checks whether a model's weights are complete; if not, provides the state, reason and remedy to report."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rapl_hub.files import size_of
from rapl_hub.state import DownloadPhase, DownloadState
from rapl_protocol.models import ModelState, Progress
from rapl_service.calls.remedies import OR_PREPARE_IN_COMPOSE

from rapl_sensevoice.unusable import ModelUnusable
from rapl_sensevoice.weights.manifest import MANIFEST_NAME, Manifest, missing_files

REPO = "iic/SenseVoiceSmall"
STATE_NAME = "prepare-model.json"
"""The file beside the weights in which `prepare-model` reports its state."""
PREPARE = f"Run `./rapl pull {REPO}`{OR_PREPARE_IN_COMPOSE}"
PREPARE_AGAIN = f"{PREPARE}: it resumes where it stopped."


@dataclass(frozen=True, slots=True)
class WeightsStatus:
    state: ModelState | None
    """ABSENT, DOWNLOADING, LOADING (being converted) or FAILED; None if the weights can be loaded."""
    reason: str | None = None
    remedy: str | None = None
    progress: Progress | None = None
    stamp: tuple[int, ...] = ()
    """Changes when the weights are replaced."""


class Weights(Protocol):
    folder: Path
    is_packaged: bool
    """Whether the weights ship in this package, so that they cannot be removed."""

    def look(self) -> WeightsStatus:
        """Returns the state of the weights. Checks names and sizes only, which is cheap enough for once a second."""
        ...

    def verify(self) -> None:
        """Reads every byte.

        Raises:
            ModelUnusable: a file is missing or has changed.
        """
        ...


class PackagedWeights:
    """Weights that ship in this package."""

    is_packaged = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def look(self) -> WeightsStatus:
        return WeightsStatus(None)

    def verify(self) -> None:
        _require_files(self.folder, "Install the package again.")


class DownloadedWeights:
    """Weights that `prepare-model` downloaded. It writes the manifest last: weights without it are not loaded."""

    is_packaged = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def look(self) -> WeightsStatus:
        manifest = Manifest.read(self.folder)
        if manifest and manifest.first_wrong_size(self.folder) is None:
            paths = [self.folder / MANIFEST_NAME, *(self.folder / f.name for f in manifest.files)]
            return WeightsStatus(None, stamp=stamp_of(paths))
        if state := DownloadState.read(self.folder / STATE_NAME):
            return status_of_preparation(state, time.time())
        if manifest:
            name = manifest.first_wrong_size(self.folder)
            return WeightsStatus(ModelState.FAILED, f"{name} is missing or cut off in {self.folder}", PREPARE_AGAIN)
        return not_there(self.folder)

    def verify(self) -> None:
        manifest = Manifest.read(self.folder)
        if manifest is None:
            raise ModelUnusable(f"{MANIFEST_NAME} is missing in {self.folder}", PREPARE_AGAIN)
        if name := manifest.first_wrong_size(self.folder) or manifest.first_wrong_hash(self.folder):
            remedy = f"Delete {self.folder / name}. {PREPARE}."
            raise ModelUnusable(f"{name} is not the file that was downloaded", remedy)
        _require_files(self.folder, f"Delete {self.folder}. {PREPARE}.")


def stamp_of(paths: Sequence[Path]) -> tuple[int, ...]:
    """The modification times, in nanoseconds."""
    return tuple(path.stat().st_mtime_ns for path in paths if size_of(path) is not None)


def _require_files(folder: Path, remedy: str) -> None:
    if missing := missing_files(folder):
        raise ModelUnusable(f"{', '.join(missing)} is missing in {folder}", remedy)


def not_there(folder: Path) -> WeightsStatus:
    remedy = f"{PREPARE}; it needs a network. The server then loads the model without a restart."
    return WeightsStatus(ModelState.ABSENT, f"there are no weights in {folder}", remedy)


def status_of_preparation(state: DownloadState, now: float) -> WeightsStatus:
    """Returns the status to report while `prepare-model` runs, or after it failed."""
    if state.phase is DownloadPhase.FAILED:
        return WeightsStatus(ModelState.FAILED, state.reason, state.remedy)
    if state.is_stale(now):
        what = "conversion" if state.phase is DownloadPhase.CONVERTING else "download"
        return WeightsStatus(ModelState.FAILED, f"the {what} stopped", PREPARE_AGAIN, state.progress)
    if state.phase is DownloadPhase.CONVERTING:
        return WeightsStatus(ModelState.LOADING, "the weights are being converted, which is done once")
    return WeightsStatus(ModelState.DOWNLOADING, state.reason, state.remedy, state.progress)
