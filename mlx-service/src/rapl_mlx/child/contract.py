"""What the parent and a model's process must agree on. They speak in frames (`rapl_protocol.frames`).

    parent -> child   load: there is memory for it; transcribe: job, options, stream, and the samples as payload;
                      cancel: job; ping; stop
    child -> parent   downloading: done_bytes, total_bytes, bytes_per_s; loading: weights_bytes (it waits for "load");
                      warming; ready: capabilities, family; failed: the fields of Failure;
                      text: what is decoded, as it comes, where `stream` asked for it;
                      result: transcript; error: OpenAI's envelope; cancelled; pong

The child leaves when its input ends, so none outlives its parent.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict


class ChildConfig(BaseModel):
    """What a child is told when it is started, as JSON in its one argument."""

    model_config = ConfigDict(frozen=True)

    id: str
    folder: Path | None = None
    revision: str | None = None
    may_run_code: bool = False
    work_dir: Path
    """For the audio of the running request; the parent removes it when the child has ended."""
    cache_limit_bytes: int
    log_level: str = "INFO"


class Failure(BaseModel):
    """Why a model cannot be made ready, for a person."""

    model_config = ConfigDict(frozen=True)

    reason: str
    remedy: str
    retry_after_s: float | None = None
    """When to try again without being told to; None where nothing changes by itself."""


class ModelFailed(Exception):
    """Raised in the child where the fact is known; its main function reports it."""

    def __init__(self, reason: str, remedy: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.failure = Failure(reason=reason, remedy=remedy, retry_after_s=retry_after_s)
