"""The messages between the parent and the process of a model, in frames (`rapl_protocol.frames`).

    parent -> child   load: there is enough memory; transcribe: job, options, stream, and the samples as payload;
                      cancel: job; ping; stop
    child -> parent   downloading: done_bytes, total_bytes, bytes_per_s; loading: weights_bytes (then the child
                      waits for "load"); warming; ready: capabilities, family; failed: the fields of Failure;
                      text: newly decoded text, if `stream` is true;
                      result: transcript; error: OpenAI's envelope; cancelled; pong

The child exits when its input ends, so it never outlives its parent.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict
from rapl_service.log import LogFormat


class ChildConfig(BaseModel):
    """Configuration of a child process, passed as JSON in its only argument."""

    model_config = ConfigDict(frozen=True)

    id: str
    folder: Path | None = None
    revision: str | None = None
    may_run_code: bool = False
    work_dir: Path
    """Folder for the audio of the running request. The parent removes it after the child has ended."""
    cache_limit_bytes: int
    log_level: str = "INFO"
    log_format: LogFormat = "text"


class Failure(BaseModel):
    """Why a model cannot be loaded, in words for the user."""

    model_config = ConfigDict(frozen=True)

    reason: str
    remedy: str
    retry_after_s: float | None = None
    """Seconds until an automatic retry; None if only the user can fix the cause."""


class ModelFailed(Exception):
    """Raised in the child process when the model cannot be loaded; `main` reports it to the parent."""

    def __init__(self, reason: str, remedy: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.failure = Failure(reason=reason, remedy=remedy, retry_after_s=retry_after_s)
