"""The weights on disk: which files the networks need, whether they are whole, and how they are removed.

The hash of each checkpoint is known, so a file is right no matter who brought it: `prepare-speakers`, or a person who
copied it. The export of the segmentation has no known hash; the hub's own is checked when it is downloaded.
"""

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from rapl_hub.files import folder_bytes, sha256_of, size_of
from rapl_hub.state import DownloadPhase, DownloadState
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.models import ModelState, Progress

FOLDER = "rapl/speakers"
STATE_NAME = "prepare-speakers.json"
"""The file beside the weights in which `prepare-speakers` reports its state."""
PREPARE = "Run `./rapl up --speakers`, or in Compose `docker compose --profile speakers up -d --force-recreate`"
PREPARE_AGAIN = f"{PREPARE}: it resumes where it stopped."


@dataclass(frozen=True, slots=True)
class WeightsFile:
    name: str
    size: int | None = None
    """In bytes; None if it is not known."""
    sha256: str | None = None


VOICE = WeightsFile(
    "campplus_cn_en_common.pt", 28_044_640, "92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199"
)
"""CAM++. Source: https://modelscope.cn/models/iic/speech_campplus_sv_zh_en_16k-common_advanced (Apache-2.0)."""
SEGMENTATION = (
    WeightsFile("pytorch_model.bin", 5_905_440, "da85c29829d4002daedd676e012936488234d9255e65e86dfab9bec6b1729298"),
    WeightsFile("model.onnx"),
)
"""segmentation-3.0, as pyannote's checkpoint or as an ONNX export of it; the first that is there is used.
Source: https://huggingface.co/pyannote/segmentation-3.0, https://huggingface.co/onnx-community/pyannote-segmentation-3.0
(MIT)."""


class WeightsUnusable(Exception):
    """The weights cannot be used.

    Args:
        reason: what is wrong.
        remedy: what the operator can do about it.
    """

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class WeightsStatus:
    state: ModelState | None
    """None if the weights can be loaded."""
    reason: str | None = None
    remedy: str | None = None
    progress: Progress | None = None
    stamp: tuple[int, ...] = ()
    """Changes when the weights are replaced."""


class SpeakerWeights:
    """The folder with both networks' files.

    Args:
        model_dir: the directory of all weights.
        voice: the file of CAM++.
        segmentation: the files of which one is the segmentation.
    """

    def __init__(
        self, model_dir: Path, voice: WeightsFile = VOICE, segmentation: tuple[WeightsFile, ...] = SEGMENTATION
    ) -> None:
        self.folder = model_dir / FOLDER
        self._voice = voice
        self._segmentation = segmentation

    @property
    def voice(self) -> Path:
        return self.folder / self._voice.name

    @property
    def segmentation(self) -> Path | None:
        """The file that is there; None if none is."""
        return next((self.folder / each.name for each in self._segmentation if self._is_whole(each)), None)

    @property
    def are_complete(self) -> bool:
        return self._is_whole(self._voice) and self.segmentation is not None

    def look(self) -> WeightsStatus:
        """The state of the weights. It reads names and sizes only."""
        state = DownloadState.read(self.folder / STATE_NAME)
        segmentation = self.segmentation
        if self._is_whole(self._voice) and segmentation:
            return WeightsStatus(None, stamp=tuple(path.stat().st_mtime_ns for path in (self.voice, segmentation)))
        if state is None:
            remedy = f"{PREPARE}; it needs a network. The server then loads the model without a restart."
            return WeightsStatus(ModelState.ABSENT, f"there are no weights in {self.folder}", remedy)
        if state.phase is DownloadPhase.FAILED:
            return WeightsStatus(ModelState.FAILED, state.reason, state.remedy)
        if state.is_stale(time.time()):
            return WeightsStatus(ModelState.FAILED, "the download stopped", PREPARE_AGAIN, state.progress)
        return WeightsStatus(ModelState.DOWNLOADING, state.reason, state.remedy, state.progress)

    def verify(self) -> None:
        """Reads every byte.

        Raises:
            WeightsUnusable: a file has changed.
        """
        for each in (self._voice, *self._segmentation):
            path = self.folder / each.name
            if each.sha256 and path.exists() and sha256_of(path) != each.sha256:
                raise WeightsUnusable(f"{each.name} is not the published file", f"Delete {path}. {PREPARE}.")

    def disk_bytes(self) -> int:
        return folder_bytes(self.folder)

    def require_removable(self) -> None:
        """Raises: ServiceError, UNSUPPORTED_PARAMETER if the folder is read-only; MODEL_IN_USE during a download."""
        if not self.folder.exists():
            return
        if not (os.access(self.folder, os.W_OK) and os.access(self.folder.parent, os.W_OK)):
            message = f"speaker-service may only read {self.folder}. Remove it there, and then unload the model."
            raise ServiceError(ErrorCode.UNSUPPORTED_PARAMETER, message, param="model")
        state = DownloadState.read(self.folder / STATE_NAME)
        if state and state.phase is not DownloadPhase.FAILED and not state.is_stale(time.time()):
            message = "`prepare-speakers` is downloading this model. Wait until it ends, or stop it."
            raise ServiceError(ErrorCode.MODEL_IN_USE, message, param="model")

    def remove(self) -> None:
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def _is_whole(self, file: WeightsFile) -> bool:
        size = size_of(self.folder / file.name)
        return size is not None and file.size in (None, size)
