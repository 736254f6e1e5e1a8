"""How far a download is: written by `prepare-model`, read by the server, through a file beside the weights."""

import time
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from rapl_sensevoice.weights.manifest import write_atomically

STATE_NAME = "prepare-model.json"
STALE_AFTER_S = 30.0
"""`prepare-model` writes once a second; a longer silence means that it was killed, or its machine slept."""


class DownloadPhase(StrEnum):
    DOWNLOADING = "downloading"
    WAITING = "waiting"
    """The hub could not be reached; it tries again by itself."""
    CONVERTING = "converting"
    """Everything is there, and is being made into the form that the runtime loads."""
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
    def read(cls, folder: Path) -> "DownloadState | None":
        """None where there is none, or where it cannot be read."""
        try:
            return cls.model_validate_json((folder / STATE_NAME).read_bytes())
        except (OSError, ValidationError):
            return None

    def write(self, folder: Path) -> None:
        stamped = self.model_copy(update={"heartbeat_at": time.time()})
        write_atomically(folder / STATE_NAME, stamped.model_dump_json())

    def is_stale(self, now: float) -> bool:
        """Whether its writer has stopped; what has failed has ended and cannot go stale."""
        return self.phase is not DownloadPhase.FAILED and now - self.heartbeat_at > STALE_AFTER_S


def clear_state(folder: Path) -> None:
    (folder / STATE_NAME).unlink(missing_ok=True)
