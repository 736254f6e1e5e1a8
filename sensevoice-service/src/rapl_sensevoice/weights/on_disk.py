"""Where a model's weights are, whether they are whole, and if not, what a person should know."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rapl_protocol.models import ModelState, Progress

from rapl_sensevoice.unusable import ModelUnusable
from rapl_sensevoice.weights.download_state import DownloadPhase, DownloadState
from rapl_sensevoice.weights.manifest import MANIFEST_NAME, Manifest, missing_files, size_of

REPO = "iic/SenseVoiceSmall"
PREPARE = "Run `prepare-model`"
PREPARE_AGAIN = f"{PREPARE} again: it goes on where it stopped."


@dataclass(frozen=True, slots=True)
class WeightsStatus:
    state: ModelState | None
    """ABSENT, DOWNLOADING, LOADING (being converted) or FAILED; None where the weights are there to be loaded."""
    reason: str | None = None
    remedy: str | None = None
    progress: Progress | None = None
    stamp: tuple[int, ...] = ()
    """Changes when somebody puts other weights there."""


class Weights(Protocol):
    folder: Path

    def look(self) -> WeightsStatus:
        """A glance, fit for once a second."""
        ...

    def verify(self) -> None:
        """Reads everything.

        Raises:
            ModelUnusable: they are not what they should be.
        """
        ...


class PackagedWeights:
    """Weights that ship in this package."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def look(self) -> WeightsStatus:
        return WeightsStatus(None)

    def verify(self) -> None:
        _require_files(self.folder, "Install the package again.")


class DownloadedWeights:
    """Weights that `prepare-model` puts there; the manifest, written last, makes them count."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def look(self) -> WeightsStatus:
        manifest = Manifest.read(self.folder)
        if manifest and manifest.first_wrong_size(self.folder) is None:
            paths = [self.folder / MANIFEST_NAME, *(self.folder / f.name for f in manifest.files)]
            return WeightsStatus(None, stamp=stamp_of(paths))
        if state := DownloadState.read(self.folder):
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
            remedy = f"Delete {self.folder / name} and run `prepare-model` again."
            raise ModelUnusable(f"{name} is not the file that was downloaded", remedy)
        _require_files(self.folder, f"Delete {self.folder} and run `prepare-model` again.")


def stamp_of(paths: Sequence[Path]) -> tuple[int, ...]:
    """When each of them was last written."""
    return tuple(path.stat().st_mtime_ns for path in paths if size_of(path) is not None)


def _require_files(folder: Path, remedy: str) -> None:
    if missing := missing_files(folder):
        raise ModelUnusable(f"{', '.join(missing)} is missing in {folder}", remedy)


def not_there(folder: Path) -> WeightsStatus:
    remedy = f"{PREPARE} (it needs a network); the server then loads the model by itself."
    return WeightsStatus(ModelState.ABSENT, f"weights are not in {folder}", remedy)


def status_of_preparation(state: DownloadState, now: float) -> WeightsStatus:
    """What `prepare-model` tells of itself."""
    progress = Progress(done_bytes=state.done_bytes, total_bytes=state.total_bytes, bytes_per_s=state.bytes_per_s)
    if state.phase is DownloadPhase.FAILED:
        return WeightsStatus(ModelState.FAILED, state.reason, state.remedy)
    if state.is_stale(now):
        what = "conversion" if state.phase is DownloadPhase.CONVERTING else "download"
        return WeightsStatus(ModelState.FAILED, f"the {what} stopped", PREPARE_AGAIN, progress)
    if state.phase is DownloadPhase.CONVERTING:
        return WeightsStatus(ModelState.LOADING, "the weights are being converted, which is done once")
    return WeightsStatus(ModelState.DOWNLOADING, state.reason, state.remedy, progress)
