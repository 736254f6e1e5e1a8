"""Where a model's weights are, whether they are whole, and if not, what a person should know."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rapl_protocol.models import ModelState, Progress

from rapl_sensevoice.download_state import DownloadPhase, DownloadState
from rapl_sensevoice.manifest import MANIFEST_NAME, Manifest, missing_files, size_of
from rapl_sensevoice.unusable import ModelUnusable

REPO = "iic/SenseVoiceSmall"
PREPARE = "Run `prepare-model`"
_PREPARE_AGAIN = f"{PREPARE} again: it goes on where it stopped."


@dataclass(frozen=True, slots=True)
class WeightsStatus:
    state: ModelState | None
    """ABSENT, DOWNLOADING or FAILED; None where the weights are there to be loaded."""
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
            return WeightsStatus(None, stamp=self._stamp(manifest))
        if state := DownloadState.read(self.folder):
            return _from_download(state, time.time())
        if manifest:
            name = manifest.first_wrong_size(self.folder)
            return WeightsStatus(ModelState.FAILED, f"{name} is missing or cut off in {self.folder}", _PREPARE_AGAIN)
        remedy = f"{PREPARE} (it needs a network); the server then loads the model by itself."
        return WeightsStatus(ModelState.ABSENT, f"weights are not in {self.folder}", remedy)

    def verify(self) -> None:
        manifest = Manifest.read(self.folder)
        if manifest is None:
            raise ModelUnusable(f"{MANIFEST_NAME} is missing in {self.folder}", _PREPARE_AGAIN)
        if name := manifest.first_wrong_size(self.folder) or manifest.first_wrong_hash(self.folder):
            remedy = f"Delete {self.folder / name} and run `prepare-model` again."
            raise ModelUnusable(f"{name} is not the file that was downloaded", remedy)
        _require_files(self.folder, f"Delete {self.folder} and run `prepare-model` again.")

    def _stamp(self, manifest: Manifest) -> tuple[int, ...]:
        paths = [self.folder / MANIFEST_NAME, *(self.folder / f.name for f in manifest.files)]
        return tuple(path.stat().st_mtime_ns for path in paths if size_of(path) is not None)


def _require_files(folder: Path, remedy: str) -> None:
    if missing := missing_files(folder):
        raise ModelUnusable(f"{', '.join(missing)} is missing in {folder}", remedy)


def _from_download(state: DownloadState, now: float) -> WeightsStatus:
    progress = Progress(done_bytes=state.done_bytes, total_bytes=state.total_bytes, bytes_per_s=state.bytes_per_s)
    if state.phase is DownloadPhase.FAILED:
        return WeightsStatus(ModelState.FAILED, state.reason, state.remedy)
    if state.is_stale(now):
        return WeightsStatus(ModelState.FAILED, "the download stopped", _PREPARE_AGAIN, progress)
    return WeightsStatus(ModelState.DOWNLOADING, state.reason, state.remedy, progress)
