"""The state of a download, in a file beside the model, so that a server can read it while another process downloads."""

import logging
import time
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError
from rapl_protocol.models import Progress

from rapl_hub.display import DownloadDisplay
from rapl_hub.files import write_atomically
from rapl_hub.progress import DownloadMeter

STALE_AFTER_S = 30.0
"""The writer writes twice a second. If the file is older, the writer was killed or its machine slept."""

log = logging.getLogger("rapl.hub")


class DownloadPhase(StrEnum):
    DOWNLOADING = "downloading"
    WAITING = "waiting"
    """The hub cannot be reached. The download is retried automatically."""
    CONVERTING = "converting"
    """All files are downloaded, and are being converted to the format that the engine loads."""
    FAILED = "failed"


class DownloadState(BaseModel):
    model_config = ConfigDict(frozen=True)

    phase: DownloadPhase
    done_bytes: int = 0
    total_bytes: int | None = None
    bytes_per_s: float | None = None
    reason: str | None = None
    remedy: str | None = None
    heartbeat_at: float = 0.0
    """When it was written, in seconds since 1970."""

    @classmethod
    def read(cls, path: Path) -> "DownloadState | None":
        """The state in the file; None if the file does not exist or cannot be read."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            return None

    @property
    def progress(self) -> Progress:
        return Progress(done_bytes=self.done_bytes, total_bytes=self.total_bytes, bytes_per_s=self.bytes_per_s)

    def is_stale(self, now: float) -> bool:
        """Whether its writer has stopped. A failure is final and does not go stale."""
        return self.phase is not DownloadPhase.FAILED and now - self.heartbeat_at > STALE_AFTER_S


class StateWriter:
    """Keeps the state file current from `__enter__` to `__exit__`, and shows the download to the operator."""

    def __init__(self, path: Path, display: DownloadDisplay) -> None:
        self._path = path
        self._display = display
        self._state = DownloadState(phase=DownloadPhase.DOWNLOADING)
        self._meter = DownloadMeter(self._write)

    def __enter__(self) -> Self:
        self._meter.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._meter.stop()
        self._display.close()

    def downloading(self, sizes: Mapping[Path, int]) -> None:
        """Begins the phase `downloading`. `sizes` are the files of this download, each with its size in bytes."""
        self._state = DownloadState(phase=DownloadPhase.DOWNLOADING)
        self._meter.expect(sizes)

    def enter(self, phase: DownloadPhase, reason: str | None = None, remedy: str | None = None) -> None:
        self._state = DownloadState(phase=phase, reason=reason, remedy=remedy)
        self._meter.report_now()

    def finish(self) -> None:
        """Removes the state file, because the model is complete."""
        self._meter.stop()
        self._path.unlink(missing_ok=True)

    def _write(self, progress: Progress) -> None:
        is_downloading = self._state.phase is DownloadPhase.DOWNLOADING
        numbers = progress.model_dump() if is_downloading else progress.model_dump() | {"bytes_per_s": None}
        stamped = self._state.model_copy(update={**numbers, "heartbeat_at": time.time()})
        try:
            write_atomically(self._path, stamped.model_dump_json())
        except OSError:
            log.exception("cannot write the state of the download to %s", self._path)
        if is_downloading and progress.total_bytes:
            self._display.show(progress)
