"""The weights in the form that the OpenVINO runtime loads: `prepare-model`'s graph, or a ready-made export."""

import time
from pathlib import Path

from rapl_hub.state import DownloadState
from rapl_protocol.models import ModelState

from rapl_sensevoice.model.graph import Precision
from rapl_sensevoice.unusable import ModelUnusable
from rapl_sensevoice.weights.graph_files import GraphManifest, ready_made
from rapl_sensevoice.weights.manifest import Manifest
from rapl_sensevoice.weights.on_disk import (
    PREPARE,
    PREPARE_AGAIN,
    STATE_NAME,
    WeightsStatus,
    not_there,
    stamp_of,
    status_of_preparation,
)

PACKAGED_PRECISION: Precision = "int8"


class GraphWeights:
    """The graph of the real model, on the model volume."""

    is_packaged = False

    def __init__(self, folder: Path, precision: Precision) -> None:
        self.folder = folder
        self._precision: Precision = precision

    def look(self) -> WeightsStatus:
        manifest = GraphManifest.read(self.folder, self._precision)
        wrong = manifest.first_wrong_size(self.folder) if manifest else None
        if manifest and wrong is None:
            paths = [GraphManifest.path(self.folder, self._precision), *(self.folder / f.name for f in manifest.files)]
            return WeightsStatus(None, stamp=stamp_of(paths))
        if files := ready_made(self.folder):
            return WeightsStatus(None, stamp=stamp_of(files.all))
        if state := DownloadState.read(self.folder / STATE_NAME):
            return status_of_preparation(state, time.time())
        if wrong:
            return WeightsStatus(ModelState.FAILED, f"{wrong} is missing or cut off in {self.folder}", PREPARE_AGAIN)
        if Manifest.read(self.folder):
            remedy = f"{PREPARE}; it needs no network now. The server then loads the model without a restart."
            return WeightsStatus(ModelState.ABSENT, f"the weights were not converted to {self._precision} yet", remedy)
        return not_there(self.folder)

    def verify(self) -> None:
        """Checks the files against the manifest. A ready-made export has none; if it is damaged, loading it fails."""
        if manifest := GraphManifest.read(self.folder, self._precision):
            _require_unchanged(manifest, self.folder, f"Delete it in {self.folder}. {PREPARE}.")


class PackagedGraph:
    """The graph of the self-test model, in this package."""

    is_packaged = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def look(self) -> WeightsStatus:
        return WeightsStatus(None)

    def verify(self) -> None:
        remedy = "Install the package again."
        manifest = GraphManifest.read(self.folder, PACKAGED_PRECISION)
        if manifest is None:
            raise ModelUnusable(f"there is no graph in {self.folder}", remedy)
        _require_unchanged(manifest, self.folder, remedy)


def _require_unchanged(manifest: GraphManifest, folder: Path, remedy: str) -> None:
    if name := manifest.first_wrong_size(folder) or manifest.first_wrong_hash(folder):
        raise ModelUnusable(f"{name} is not the file that was converted", remedy)
